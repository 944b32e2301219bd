//! What a training step is said to cost, against what the CPU's kernels did. A program of its own: the kernels' record is
//! of all threads.
#![cfg(feature = "cpu")]

use burn::tensor::Device;
use otjr::{
    config::{Objective, ObjectiveConfig, TrainConfig},
    data::synthetic,
    kernel::profile,
    model::cost::{Passes, convolutions},
    train::Trainer,
};

const BATCH: usize = 4;

#[test]
fn steps_cost_what_is_said() {
    let data = synthetic::generate(0, BATCH, 1).train;
    for model in ["wrn-10-1", "resnet-18-w4"] {
        for (&objective, awp) in Objective::ALL.iter().flat_map(|objective| [(objective, 0.0), (objective, 0.01)]) {
            let coefficients = ObjectiveConfig { train_steps: 2, ..ObjectiveConfig::default() };
            let model = model.parse().unwrap();
            let config = TrainConfig { model, objective, awp, batch: BATCH, coefficients, ..TrainConfig::demo() };
            let mut trainer = Trainer::new(&config, &data, &Device::flex()).unwrap();
            profile::start();
            trainer.step(&data);
            let done: u64 = profile::stop().iter().map(|entry| entry.multiply_adds).sum();
            let passes = Passes::of_step(&config);
            let convolutions = convolutions(&mut trainer.model);
            let one: u64 = convolutions.iter().map(|conv| conv.multiply_adds()).sum();
            let ways = passes.forward + passes.pixels + passes.inputs + passes.weights;
            let said = ways * one - passes.inputs * convolutions[0].multiply_adds();
            assert_eq!(done, BATCH as u64 * said, "{objective}, awp {awp}: {passes:?}");
        }
    }
}
