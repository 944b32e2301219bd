//! Tests of the core on its CPU backend. They run natively and, compiled to WebAssembly, in Node.

mod attack;
mod checkpoint;
mod closed_form;
mod config;
mod corruption;
#[cfg(not(target_arch = "wasm32"))]
mod cpu_kernels;
mod evaluate;
mod explore;
mod golden;
#[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
mod gpu;
mod invariants;
#[cfg(not(target_arch = "wasm32"))]
mod kernels;
mod loss;
mod model;
mod oracle;
mod rounding;
mod train;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use burn::tensor::{Device, Tensor, TensorData};
use otjr::random::{self, StreamId};

/// Runs a future that never waits. All futures of the CPU backend are of this kind.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the CPU backend never waits"),
    }
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().inner().into_data().iter::<f32>().collect()
}

/// Uniform random values in `[low, high)`. They are the same on every machine.
fn uniform<const D: usize>(seed: u64, shape: [usize; D], low: f32, high: f32) -> Tensor<D> {
    let mut rng = random::stream(seed, StreamId::Directions, 99);
    let values = random::uniform(&mut rng, shape.iter().product(), low, high);
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// Relative error: max |a - b| / max |b|.
fn relative_error(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    a.iter().zip(b).fold(0.0, |m, (a, b)| f32::max(m, (a - b).abs())) / largest
}

/// Defines tests for all targets.
#[macro_export]
macro_rules! tests {
    ($($(#[doc = $doc:literal])* fn $name:ident() $body:block)*) => {$(
        $(#[doc = $doc])*
        #[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
        #[cfg_attr(not(target_arch = "wasm32"), test)]
        fn $name() $body
    )*};
}
