//! A convolution's weights in the orders in which the kernels read them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// One order of the weights of a convolution of a given stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    Forward,
    ForwardWinograd,
    /// Of one phase of the input gradient.
    Gradient(usize),
    GradientWinograd,
}

/// The orders that were needed so far. An attack reads the same weights at every step, and at a batch of one image
/// putting them in order takes as long as the convolution.
#[derive(Debug, Default)]
pub struct Packed(Mutex<BTreeMap<Order, Arc<Vec<f32>>>>);

impl Packed {
    pub fn get(&self, order: Order, pack: impl FnOnce() -> Vec<f32>) -> Arc<Vec<f32>> {
        let known = self.0.lock().expect("no one panics with it").get(&order).cloned();
        // Not under the lock: packing uses all threads, which may be given other work that wants it.
        known.unwrap_or_else(|| {
            let packed = Arc::new(pack());
            self.0.lock().expect("no one panics with it").insert(order, packed.clone());
            packed
        })
    }
}
