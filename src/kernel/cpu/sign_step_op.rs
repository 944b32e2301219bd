//! One step of a sign-gradient attack (FGSM, PGD), in one pass over memory.

use crate::kernel::prelude::*;

use super::{
    burn_glue::{contiguous, dims, floats, tensor},
    parallel, profile,
};

/// Floats per chunk of work.
const CHUNK: usize = 8192;

/// See [`crate::kernel::sign_step`].
pub fn sign_step(x: Tensor<4>, gradient: Tensor<4>, center: Tensor<4>, epsilon: f32, step: f32) -> Tensor<4> {
    let (x, gradient, center) = (x.into_dispatch(), gradient.into_dispatch(), center.into_dispatch());
    Tensor::from_dispatch(Dispatch::sign_step(x, gradient, center, epsilon, step))
}

#[backend_extension(Flex)]
trait SignStep: Backend {
    fn sign_step(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        center: FloatTensor<Self>,
        epsilon: f32,
        step: f32,
    ) -> FloatTensor<Self>;
}

impl SignStep for Flex {
    fn sign_step(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        center: FloatTensor<Self>,
        epsilon: f32,
        step: f32,
    ) -> FloatTensor<Self> {
        let shape = dims(&x);
        let _timer = profile::time("sign step", || (format!("{shape:?}"), 0));
        let [x, gradient, center] = [x, gradient, center].map(contiguous);
        let [x, gradient, center] = [&x, &gradient, &center].map(floats);
        let fill = |_: &mut (), chunk: usize, [out]: [&mut [f32]; 1]| {
            let range = chunk * CHUNK..chunk * CHUNK + out.len();
            let operands = x[range.clone()].iter().zip(&gradient[range.clone()]).zip(&center[range]);
            for (out, ((x, g), center)) in out.iter_mut().zip(operands) {
                let sign = f32::from(*g > 0.0) - f32::from(*g < 0.0);
                *out = (x + step * sign).max(center - epsilon).min(center + epsilon).clamp(0.0, 1.0);
            }
        };
        let ([out], _) = parallel::fill(x.len(), CHUNK, || (), fill);
        tensor(out, shape)
    }
}
