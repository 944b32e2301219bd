//! Compares the computed cost of training steps with the multiply-adds that the CPU kernels recorded. It is a separate
//! test program because the record includes all threads.
#![cfg(feature = "cpu")]

use burn::tensor::Device;
use otjr::{
    data::synthetic,
    kernel::profile,
    loss::{Objective, ObjectiveConfig},
    model::cost::convolutions,
    train::{TrainConfig, Trainer, cost::passes_per_step},
};

const BATCH: usize = 4;

#[test]
fn recorded_cost_matches_computed_cost() {
    let data = synthetic::generate(0, BATCH, 1).train;
    for model in ["wrn-10-1", "resnet-18-w4"] {
        let settings = [(0.0, false), (0.01, false), (0.0, true)];
        for (&objective, (awp, head_only)) in Objective::ALL.iter().flat_map(|o| settings.map(|setting| (o, setting))) {
            let coefficients = ObjectiveConfig { train_steps: 2, ..ObjectiveConfig::default() };
            let model = model.parse().unwrap();
            let demo = TrainConfig::demo();
            let config = TrainConfig { model, objective, awp, head_only, batch: BATCH, coefficients, ..demo };
            let mut trainer = Trainer::new(&config, &data, &Device::flex()).unwrap();
            profile::start();
            trainer.step(&data);
            let recorded: u64 = profile::stop().iter().map(|entry| entry.multiply_adds).sum();
            let passes = passes_per_step(&config);
            let convolutions = convolutions(&mut trainer.model);
            let per_pass: u64 = convolutions.iter().map(|conv| conv.multiply_adds()).sum();
            let count = passes.forward + passes.pixels + passes.inputs + passes.weights;
            let computed = count * per_pass - passes.inputs * convolutions[0].multiply_adds();
            assert_eq!(recorded, BATCH as u64 * computed, "{objective}, awp {awp}, head {head_only}: {passes:?}");
        }
    }
}
