//! One SGD step with momentum, in one pass over memory.

use crate::kernel::{SgdParams, prelude::*};

use super::{
    burn_glue::{contiguous, floats, tensor},
    parallel, profile,
};

/// Floats per chunk of work.
const CHUNK: usize = 16384;

/// See [`crate::kernel::sgd_step`].
pub fn sgd_step(weight: Tensor<1>, velocity: Tensor<1>, gradient: Tensor<1>, params: SgdParams) -> [Tensor<1>; 2] {
    let [weight, velocity, gradient] = [weight, velocity, gradient].map(Tensor::into_dispatch);
    let (weight, velocity) = Dispatch::sgd_step(weight, velocity, gradient, params);
    [weight, velocity].map(Tensor::from_dispatch)
}

#[backend_extension(Flex)]
trait Sgd: Backend {
    fn sgd_step(
        weight: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        params: SgdParams,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl Sgd for Flex {
    fn sgd_step(
        weight: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        params: SgdParams,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let SgdParams { learning_rate, momentum, weight_decay } = params;
        let [weight, velocity, gradient] = [weight, velocity, gradient].map(contiguous);
        let [w, v, g] = [&weight, &velocity, &gradient].map(floats);
        let _timer = profile::time("SGD step", || (w.len().to_string(), 0));
        let fill = |_: &mut (), chunk: usize, [weight, velocity]: [&mut [f32]; 2]| {
            let range = chunk * CHUNK..chunk * CHUNK + weight.len();
            let operands = w[range.clone()].iter().zip(&v[range.clone()]).zip(&g[range]);
            for ((weight, velocity), ((w, v), g)) in weight.iter_mut().zip(velocity).zip(operands) {
                *velocity = v * momentum + (g + w * weight_decay);
                *weight = w - *velocity * learning_rate;
            }
        };
        let n = w.len();
        let ([weight, velocity], _) = parallel::fill(n, CHUNK, || (), fill);
        (tensor(weight, [n]), tensor(velocity, [n]))
    }
}
