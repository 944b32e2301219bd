//! Memory layouts of a convolution's weight for the CPU kernels.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// A layout of the weight of a convolution with a given stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// Forward pass.
    Forward,
    /// Forward pass by Winograd's algorithm.
    ForwardWinograd,
    /// One phase of the input gradient, by index.
    InputGradient(usize),
    /// Input gradient by Winograd's algorithm.
    InputGradientWinograd,
}

/// Cache of a weight's layouts. An attack uses the same weight at every step, and for a single image packing takes as
/// long as the convolution.
#[derive(Debug, Default)]
pub struct WeightLayouts(Mutex<BTreeMap<Layout, Arc<Vec<f32>>>>);

impl WeightLayouts {
    /// Returns the weight in `layout`; calls `pack` if it is not cached.
    ///
    /// # Panics
    /// If another thread panicked while it used the cache.
    pub fn get(&self, layout: Layout, pack: impl FnOnce() -> Vec<f32>) -> Arc<Vec<f32>> {
        let cached = self.0.lock().expect("an unpoisoned lock").get(&layout).cloned();
        // The lock is released while packing: rayon may run another job that needs this lock on the same thread.
        cached.unwrap_or_else(|| {
            let packed = Arc::new(pack());
            self.0.lock().expect("an unpoisoned lock").insert(layout, packed.clone());
            packed
        })
    }
}
