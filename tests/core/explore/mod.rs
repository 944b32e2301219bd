//! Tests of the explorer's analyses.

mod invariants;
mod oracle;

use burn::tensor::Device;
use otjr::{attack::ModelOracle, model::Model};

const N: usize = 3072;

fn query(model: &Model) -> ModelOracle<'_, Model> {
    // A batch size of two: results must not depend on it.
    ModelOracle::new(model, &Device::flex(), [3, 32, 32], 2)
}
