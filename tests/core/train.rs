//! Training: the rate, the optimiser's arithmetic, and runs that go on as if they had never stopped.

use burn::tensor::Device;
use otjr::{
    checkpoint::{Checkpoint, MODEL},
    config::{Objective, ObjectiveConfig, Schedule, TrainConfig},
    data::{Pictures, synthetic},
    model::{
        Model,
        parameter::{Array, Arrays},
    },
    train::{Error, Record, Trainer, schedule},
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
fn train(config: &TrainConfig, sittings: &[u64]) -> (Checkpoint, Vec<f32>) {
    let (device, data) = (Device::flex(), data());
    let mut trainer = Trainer::new(config, &data, &device).unwrap();
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
        let runs = [(Objective::Otjr, false, 0.0), (Objective::Trades, false, 0.9), (Objective::Otjr, true, 0.0)];
        for (objective, head_only, average) in runs {
            let config = TrainConfig { head_only, average, ..config(objective) };
            let (whole, losses) = train(&config, &[6]);
            let (parts, losses_of_parts) = train(&config, &[2, 5, 6]);
            assert_eq!(whole, parts, "{objective} {head_only}");
            assert_eq!(losses, losses_of_parts);
        }
    }

    fn every_objective_trains() {
        for &objective in Objective::ALL {
            let (_, losses) = train(&config(objective), &[3]);
            assert!(losses.iter().all(|loss| loss.is_finite()), "{objective}: {losses:?}");
        }
    }

    /// With `head_only` the rest of the model is the same to the bit, and the file holds no velocities for it.
    fn the_last_layer_is_trained_alone() {
        let start = train(&TrainConfig { normalize: true, ..config(Objective::Ce) }, &[0]).0.part(MODEL);
        for &objective in Objective::ALL {
            let (checkpoint, losses) = train(&TrainConfig { head_only: true, normalize: true, ..config(objective) }, &[3]);
            assert!(losses.iter().all(|loss| loss.is_finite()), "{objective}: {losses:?}");
            let end = checkpoint.part(MODEL);
            let changed: Vec<_> = end.keys().filter(|name| end[*name] != start[*name]).collect();
            assert_eq!(changed, ["fc.bias", "fc.weight"], "{objective}");
            let velocities = checkpoint.part("optimiser.velocity.");
            assert_eq!(velocities.keys().collect::<Vec<_>>(), changed);
        }
    }

    /// a' = d a + (1 - d) w' with d = min(decay, (1 + steps) / (10 + steps)), from the first weights on; the file's model
    /// is the average, and training goes on from the weights as if there were none.
    fn the_average_follows_the_weights() {
        let with = |average, step| train(&TrainConfig { average, ..config(Objective::Ce) }, &[step]).0;
        let [first, second] = [1, 2].map(|step| with(0.0, step).part(MODEL));
        let averaged = with(0.2, 2);
        assert_eq!(averaged.part("latest."), second);
        for (name, average) in averaged.part(MODEL) {
            for (i, a) in average.values.iter().enumerate() {
                // After the first step it is the weights themselves: they are where the average begins.
                let expected = 0.2 * first[&name].values[i] + 0.8 * second[&name].values[i];
                assert!((a - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{name} {i}: {a} {expected}");
            }
        }
        assert!(with(0.0, 2).part("latest.").is_empty());
    }

    /// A model from elsewhere is taken as it is, network included.
    fn runs_begin_with_a_given_model() {
        let (device, data) = (Device::flex(), data());
        let model = |classes| Model::new("resnet-18-w4".parse().unwrap(), classes, None, 9, &device).unwrap();
        let trainer = Trainer::with_model(&config(Objective::Ce), model(10), &data, &device).unwrap();
        let checkpoint = ready(trainer.checkpoint()).unwrap();
        assert_eq!(checkpoint.part(MODEL), ready(model(10).arrays()).unwrap());
        let again = Trainer::resume(&checkpoint, &data, &device).unwrap();
        assert_eq!((again.config.model, again.step), (model(10).architecture, 0));
        let other = Trainer::with_model(&config(Objective::Ce), model(9), &data, &device);
        assert!(matches!(other, Err(Error::Classes { expected: 9, found: 10 })));
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

    /// Velocities of other parameters, or of other sizes, are named.
    fn checkpoints_whose_velocities_do_not_fit_are_refused() {
        let (device, data) = (Device::flex(), data());
        let (checkpoint, _) = train(&config(Objective::Ce), &[1]);
        let with = |change: &dyn Fn(&mut Arrays)| {
            let mut checkpoint = checkpoint.clone();
            change(&mut checkpoint.arrays);
            Trainer::resume(&checkpoint, &data, &device).err().expect("it was accepted").to_string()
        };
        let name = |parameter: &str| format!("optimiser.velocity.{parameter}");
        let shape = with(&|a| *a.get_mut(&name("fc.bias")).unwrap() = Array { shape: vec![9], values: vec![0.0; 9] });
        assert!(shape.contains("'optimiser.velocity.fc.bias' has shape [9], where the network needs [10]"), "{shape}");
        for foreign in ["fc.other", "bn1.running_mean"] {
            let message = with(&|a| drop(a.insert(name(foreign), Array { shape: vec![1], values: vec![0.0] })));
            assert!(message.contains(&format!("'{}' that a wrn-10-1 does not have", name(foreign))), "{message}");
        }
        let nan = with(&|a| a.get_mut(&name("fc.bias")).unwrap().values[3] = f32::NAN);
        assert!(nan.contains("NaN at position 3"), "{nan}");
    }

    /// Through postcard to the page, which says no names, and through JSON to a log, also one written by earlier versions.
    fn records_travel() {
        let record = Record { step: 3, epoch: 1, rate: 0.1, loss: 2.0, ce: 1.5, distance: None, jacobian: Some(0.25) };
        let bytes = postcard::to_allocvec(&record).unwrap();
        assert_eq!(postcard::from_bytes::<Record>(&bytes).unwrap(), record);
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        let earlier = line.replace(r#""distance":null,"#, "");
        assert_ne!(earlier, line);
        assert_eq!(serde_json::from_str::<Record>(&earlier).unwrap(), record);
    }
}
