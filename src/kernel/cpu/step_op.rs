//! A step of a sign attack, in one pass.

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

use super::{
    flex::{contiguous, dims, floats, tensor},
    memory, profile,
};

/// Floats that a thread takes at once.
const UNIT: usize = 8192;

/// See [`crate::kernel::sign_step`].
pub fn sign_step(x: Tensor<4>, gradient: Tensor<4>, around: Tensor<4>, epsilon: f32, step: f32) -> Tensor<4> {
    let (x, gradient, around) = (x.into_dispatch(), gradient.into_dispatch(), around.into_dispatch());
    Tensor::from_dispatch(Dispatch::sign_step(x, gradient, around, epsilon, step))
}

#[backend_extension(Flex)]
trait Step: Backend {
    fn sign_step(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        around: FloatTensor<Self>,
        epsilon: f32,
        step: f32,
    ) -> FloatTensor<Self>;
}

impl Step for Flex {
    fn sign_step(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        around: FloatTensor<Self>,
        epsilon: f32,
        step: f32,
    ) -> FloatTensor<Self> {
        let shape = dims(&x);
        let _timed = profile::time("sign step", || (format!("{shape:?}"), 0));
        let [x, gradient, around] = [x, gradient, around].map(contiguous);
        let [x, gradient, around] = [&x, &gradient, &around].map(floats);
        let fill = |_: &mut (), unit: usize, [out]: [&mut [f32]; 1]| {
            let pixels = unit * UNIT..unit * UNIT + out.len();
            let operands = x[pixels.clone()].iter().zip(&gradient[pixels.clone()]).zip(&around[pixels]);
            for (out, ((x, g), around)) in out.iter_mut().zip(operands) {
                let sign = f32::from(*g > 0.0) - f32::from(*g < 0.0);
                *out = (x + step * sign).max(around - epsilon).min(around + epsilon).clamp(0.0, 1.0);
            }
        };
        let ([out], _) = memory::fill(x.len(), UNIT, || (), fill);
        tensor(out, shape)
    }
}
