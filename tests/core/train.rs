//! Training: the rate, the optimiser's arithmetic, and runs that go on as if they had never stopped.

use burn::tensor::Device;
use otjr::{
    checkpoint::Checkpoint,
    config::{Objective, ObjectiveConfig, Schedule, TrainConfig},
    data::{Pictures, synthetic},
    train::{Error, Trainer, schedule},
};

use crate::{ready, tests};

fn config(objective: Objective) -> TrainConfig {
    TrainConfig {
        objective,
        batch: 8,
        epochs: 2,
        coefficients: ObjectiveConfig { train_steps: 1, ..ObjectiveConfig::default() },
        ..TrainConfig::demo()
    }
}

fn data() -> Pictures {
    synthetic::generate(0, 35, 10).train
}

/// Trains to step `n`, leaving the trainer behind in between for a fresh one made from its checkpoint's bytes.
fn train(objective: Objective, sittings: &[u64]) -> (Checkpoint, Vec<f32>) {
    let (device, data) = (Device::flex(), data());
    let mut trainer = Trainer::new(&config(objective), &data, &device).unwrap();
    let mut losses = Vec::new();
    for (i, &until) in sittings.iter().enumerate() {
        if i > 0 {
            let bytes = ready(trainer.checkpoint()).unwrap().to_bytes();
            trainer = Trainer::resume(&Checkpoint::from_bytes(&bytes).unwrap(), &data, &device).unwrap();
        }
        while trainer.step < until {
            trainer.step(&data);
        }
        losses.extend(ready(trainer.records(&data)).unwrap().iter().map(|record| record.loss));
    }
    (ready(trainer.checkpoint()).unwrap(), losses)
}

tests! {
    fn rates() {
        let at = |schedule, step| schedule::factor(schedule, step, 100);
        assert_eq!([0, 74, 75, 89, 90, 99].map(|s| at(Schedule::Steps, s)), [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]);
        assert!(at(Schedule::Cosine, 0) == 1.0 && (at(Schedule::Cosine, 50) - 0.5).abs() < 1e-6);
        let cycle: Vec<f32> = (0..100).map(|s| at(Schedule::OneCycle, s)).collect();
        assert!(cycle[..30].is_sorted() && cycle[30..].is_sorted_by(|a, b| a >= b));
        assert!(cycle[0] < 0.05 && cycle[30] == 1.0 && cycle[99] < 0.01);
    }

    /// Bit for bit, over an epoch's end, whatever the objective keeps between steps.
    fn resumed_runs_equal_uninterrupted_ones() {
        for objective in [Objective::Otjr, Objective::Trades] {
            let (whole, losses) = train(objective, &[6]);
            let (parts, losses_of_parts) = train(objective, &[2, 5, 6]);
            assert_eq!(whole, parts, "{objective}");
            assert_eq!(losses, losses_of_parts);
        }
    }

    fn every_objective_trains() {
        for &objective in Objective::ALL {
            let (_, losses) = train(objective, &[3]);
            assert!(losses.iter().all(|loss| loss.is_finite()), "{objective}: {losses:?}");
        }
    }

    /// With momentum 0 and one step, w' = w - rate (g + decay w), whatever g: so two decays differ by rate decay w.
    fn weight_decay_and_rate() {
        let (device, data) = (Device::flex(), data());
        let after = |decay: f32| {
            let config = TrainConfig { weight_decay: decay, schedule: Schedule::Cosine, rate: 0.5, ..config(Objective::Ce) };
            let mut trainer = Trainer::new(&config, &data, &device).unwrap();
            let before = ready(trainer.model.arrays()).unwrap();
            trainer.step(&data);
            (before, ready(trainer.model.arrays()).unwrap())
        };
        let ((before, plain), (_, decayed)) = (after(0.0), after(0.1));
        for (i, w) in before["fc.weight"].values.iter().enumerate() {
            let difference = plain["fc.weight"].values[i] - decayed["fc.weight"].values[i];
            assert!((difference - 0.5 * 0.1 * w).abs() < 1e-6);
        }
    }

    /// A rate that no training survives is reported, not trained on.
    fn divergence_is_an_error() {
        let (device, data) = (Device::flex(), data());
        let config = TrainConfig { rate: 1e30, schedule: Schedule::Steps, ..config(Objective::Ce) };
        let mut trainer = Trainer::new(&config, &data, &device).unwrap();
        (0..4).for_each(|_| trainer.step(&data));
        assert!(matches!(ready(trainer.records(&data)), Err(Error::Diverged { .. })));
    }

    fn checkpoints_of_other_data_or_none_are_refused() {
        let (device, data) = (Device::flex(), data());
        let trainer = Trainer::new(&config(Objective::Ce), &data, &device).unwrap();
        let checkpoint = ready(trainer.checkpoint()).unwrap();
        let mut fewer = data.clone();
        fewer.classes.pop();
        assert!(matches!(Trainer::resume(&checkpoint, &fewer, &device), Err(Error::Classes { expected: 10, found: 9 })));
        let model = Checkpoint { arrays: checkpoint.arrays, ..Checkpoint::default() };
        assert!(matches!(Trainer::resume(&model, &data, &device), Err(Error::Checkpoint(_))));
        assert!(matches!(Trainer::new(&config(Objective::Ce), &Pictures::default(), &device), Err(Error::TooFewPictures(0))));
    }
}
