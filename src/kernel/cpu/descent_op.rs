//! A step of gradient descent with momentum, in one pass.

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, ops::FloatTensorOps, tensor::FloatTensor},
    tensor::{Tensor, TensorData},
};

use super::{
    flex::{contiguous, floats},
    memory, profile,
};

/// Floats that a thread takes at once.
const UNIT: usize = 16384;

/// See [`crate::kernel::descend`].
pub fn descend(
    weight: Tensor<1>,
    velocity: Tensor<1>,
    gradient: Tensor<1>,
    [rate, momentum, decay]: [f32; 3],
) -> [Tensor<1>; 2] {
    let [weight, velocity, gradient] = [weight, velocity, gradient].map(Tensor::into_dispatch);
    let (weight, velocity) = Dispatch::descend(weight, velocity, gradient, rate, momentum, decay);
    [weight, velocity].map(Tensor::from_dispatch)
}

#[backend_extension(Flex)]
trait Descent: Backend {
    fn descend(
        weight: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        rate: f32,
        momentum: f32,
        decay: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl Descent for Flex {
    fn descend(
        weight: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        rate: f32,
        momentum: f32,
        decay: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [weight, velocity, gradient] = [weight, velocity, gradient].map(contiguous);
        let [w, v, g] = [&weight, &velocity, &gradient].map(floats);
        let _timed = profile::time("descent", || (w.len().to_string(), 0));
        let fill = |_: &mut (), unit: usize, [weight, velocity]: [&mut [f32]; 2]| {
            let at = unit * UNIT..unit * UNIT + weight.len();
            let operands = w[at.clone()].iter().zip(&v[at.clone()]).zip(&g[at]);
            for ((weight, velocity), ((w, v), g)) in weight.iter_mut().zip(velocity).zip(operands) {
                *velocity = v * momentum + (g + w * decay);
                *weight = w - *velocity * rate;
            }
        };
        let (both, _) = memory::fill(w.len(), UNIT, || (), fill);
        let [weight, velocity] = both.map(|values| {
            let n = values.len();
            Flex::float_from_data(TensorData::new(values, [n]), &Default::default())
        });
        (weight, velocity)
    }
}
