//! Training: the learning rate, the optimizer, and resumed runs.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use otjr::{
    batch::Batch,
    checkpoint::{Checkpoint, MODEL_PREFIX},
    data::{IMAGE_LEN, ImageSet, synthetic},
    loss::{
        Objective, ObjectiveConfig,
        objective::{Directions, compute},
    },
    model::{
        Model,
        parameter::{Array, Arrays},
    },
    random::{self, StreamId},
    train::{Error, Record, Schedule, TrainConfig, Trainer, schedule, validation},
};

use crate::{ready, relative_error, tests, values};

fn config(objective: Objective) -> TrainConfig {
    TrainConfig {
        objective,
        batch: 8,
        epochs: 2,
        coefficients: ObjectiveConfig { train_steps: 1, ..ObjectiveConfig::default() },
        ..TrainConfig::demo()
    }
}

fn data() -> ImageSet {
    synthetic::generate(0, 35, 10).train
}

/// Trains up to each of the given steps, with a new trainer from the serialized checkpoint in between.
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

/// Settings with which a step changes the weights by -`rate` times the gradient.
fn plain(objective: Objective) -> TrainConfig {
    TrainConfig { momentum: 0.0, weight_decay: 0.0, schedule: Schedule::Steps, rate: 0.1, ..config(objective) }
}

/// A trainer of `config` after one step, and the weights before and after it.
fn stepped(config: &TrainConfig) -> (Trainer, [Arrays; 2]) {
    let data = data();
    let mut trainer = Trainer::new(config, &data, &Device::flex()).unwrap();
    let before = ready(trainer.model.arrays()).unwrap();
    trainer.step(&data);
    let after = ready(trainer.model.arrays()).unwrap();
    (trainer, [before, after])
}

/// The gradient of `ce` or `pgd` at `weights`, by parameter name.
fn gradient(objective: Objective, weights: &Arrays, batch: &Batch, x_adv: &Tensor<4>) -> BTreeMap<String, Vec<f32>> {
    let device = Device::flex();
    let model = Model::from_arrays(weights, &device).unwrap();
    let [b, c] = batch.y.dims();
    let directions = Directions::draw(&mut random::stream(0, StreamId::Directions, 0), b, c, 1, &device);
    let mut evaluation = compute(objective, &ObjectiveConfig::default(), &model, batch, x_adv, &directions, false);
    let mut gradients = evaluation.loss.backward();
    let slots = evaluation.model.named_tensors().into_iter().filter(|slot| slot.learned());
    slots.map(|slot| (slot.name().to_owned(), values(&slot.gradient(&mut gradients).unwrap()))).collect()
}

/// The gradient computed from the weights: (before - after) / rate.
fn moved([before, after]: &[Arrays; 2], name: &str, rate: f32) -> Vec<f32> {
    before[name].values.iter().zip(&after[name].values).map(|(a, b)| (a - b) / rate).collect()
}

fn norm<'a>(values: impl IntoIterator<Item = &'a f32>) -> f32 {
    values.into_iter().map(|v| v * v).sum::<f32>().sqrt()
}

tests! {
    /// Training on two devices gives the same result as gradient accumulation over two parts on one device.
    fn devices_share_the_batch() {
        let run = |accumulate, others, steps| {
            let config = TrainConfig { accumulate, batch: 7, ..config(Objective::Otjr) };
            let mut trainer = Trainer::new(&config, &data(), &Device::flex()).unwrap();
            trainer.replicas = others;
            (0..steps).for_each(|_| trainer.step(&data()));
            let losses: Vec<f32> = ready(trainer.records(&data())).unwrap().iter().map(|record| record.loss).collect();
            (losses, ready(trainer.checkpoint()).unwrap().arrays)
        };
        assert!(run(2, vec![], 3) == run(1, vec![Device::flex()], 3));
        assert!(run(2, vec![], 1).0 != run(1, vec![], 1).0);
        // With several parts per device the order of summation differs.
        let [one, three] = [run(6, vec![], 1), run(2, vec![Device::flex(); 2], 1)];
        assert_eq!(one.0, three.0);
        assert!(one.1.iter().all(|(name, array)| relative_error(&three.1[name].values, &array.values) < 1e-5));
    }

    /// The learning rate rises over the first two of four epochs, whatever the schedule.
    fn warm_up() {
        let config = TrainConfig { warm_up: 2.0, epochs: 4, schedule: Schedule::Steps, ..TrainConfig::default() };
        assert_eq!([0, 24, 49, 50, 74].map(|step| schedule::factor(&config, step, 100)), [0.02, 0.5, 1.0, 1.0, 1.0]);
    }

    /// With two accumulated parts, each with its own batch statistics, the step uses the mean of the parts' gradients, weighted
    /// by size.
    fn accumulated_gradients_are_those_of_the_parts() {
        let config = TrainConfig { accumulate: 2, batch: 7, ..plain(Objective::Pgd) };
        let (trainer, weights) = stepped(&config);
        let (batch, x_adv) = trainer.last.unwrap();
        let parts = otjr::batch::parts(7, 2);
        assert_eq!(parts, [0..3, 3..7]);
        let of = |rows: &std::ops::Range<usize>| {
            let x_adv = x_adv.clone().narrow(0, rows.start, rows.len());
            gradient(Objective::Pgd, &weights[0], &batch.rows(rows.clone(), &Device::flex()), &x_adv)
        };
        let [a, b] = [of(&parts[0]), of(&parts[1])];
        for (name, a) in a {
            let mean: Vec<f32> = a.iter().zip(&b[&name]).map(|(a, b)| (3.0 * a + 4.0 * b) / 7.0).collect();
            assert!(relative_error(&moved(&weights, &name, 0.1), &mean) < 1e-3, "{name}");
        }
    }

    fn long_gradients_are_clipped() {
        let length = |clip| {
            let (_, weights) = stepped(&TrainConfig { clip, ..plain(Objective::Ce) });
            let learned = weights[0].keys().filter(|name| !name.contains("running"));
            norm(&learned.flat_map(|name| moved(&weights, name, 0.1)).collect::<Vec<_>>())
        };
        let whole = length(0.0);
        assert!((length(0.5 * whole) / whole - 0.5).abs() < 1e-3);
        assert_eq!(length(2.0 * whole), whole);
    }

    /// With AWP the gradient is computed at perturbed weights: each kernel moves uphill by a fraction of its norm.
    fn perturbed_weights_give_the_gradient() {
        let (trainer, weights) = stepped(&TrainConfig { awp: 0.05, ..plain(Objective::Pgd) });
        let (batch, x_adv) = trainer.last.unwrap();
        let uphill = gradient(Objective::Pgd, &weights[0], &batch, &x_adv);
        let mut there = weights[0].clone();
        for (name, g) in &uphill {
            let w = there.get_mut(name).unwrap();
            if w.shape.len() > 1 {
                let factor = 0.05 * norm(&w.values) / norm(g);
                w.values.iter_mut().zip(g).for_each(|(w, g)| *w += factor * g);
            }
        }
        for (name, expected) in gradient(Objective::Pgd, &there, &batch, &x_adv) {
            let moved = moved(&weights, &name, 0.1);
            assert!(relative_error(&moved, &expected) < 1e-3, "{name}");
            assert!(relative_error(&moved, &uphill[&name]) > 1e-3, "{name} did not move");
        }
    }

    fn smoothed_labels() {
        let (device, data) = (Device::flex(), data());
        let batch = Batch::new(&data, &[0, 1], &device);
        for (hard, soft) in values(&batch.y).iter().zip(values(&batch.smoothed(0.2).y)) {
            assert!((soft - (0.8 * hard + 0.02)).abs() < 1e-6);
        }
        let [plain, smooth] = [0.0, 0.2].map(|label_smoothing| stepped(&TrainConfig { label_smoothing, ..plain(Objective::Pgd) }));
        // Label smoothing does not affect the attack.
        assert_eq!(values(&plain.0.last.unwrap().1), values(&smooth.0.last.unwrap().1));
        assert_ne!(plain.1[1], smooth.1[1]);
    }

    /// Mixup uses one coefficient for the images and labels of a batch, and mixes each image with another one of the batch.
    fn mixed_images_have_mixed_labels() {
        let [plain, mixed] = [0.0, 1.0].map(|mixup| stepped(&TrainConfig { mixup, ..plain(Objective::Ce) }).0.last.unwrap().0);
        let (x, y, mixed_x, mixed_y) = (values(&plain.x), values(&plain.y), values(&mixed.x), values(&mixed.y));
        let row = |values: &[f32], i: usize, width: usize| values[i * width..(i + 1) * width].to_vec();
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        let own = |i: usize| (0..10).find(|&c| y[10 * i + c] == 1.0).unwrap();
        let shares: Vec<f32> = (0..8).map(|i| mixed_y[10 * i + own(i)]).filter(|share| *share < 1.0).collect();
        assert!(!shares.is_empty(), "{shares:?}");
        assert!(shares.iter().all(|s| (s - shares[0]).abs() < 1e-6), "{shares:?}");
        let mix = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| shares[0] * a + (1.0 - shares[0]) * b).collect() };
        for i in 0..8 {
            let partner = (0..8).find(|&j| close(&mix(&row(&x, i, IMAGE_LEN), &row(&x, j, IMAGE_LEN)), &row(&mixed_x, i, IMAGE_LEN)));
            let partner = partner.expect("it is no mixture of two images");
            assert!(close(&mix(&row(&y, i, 10), &row(&y, partner, 10)), &row(&mixed_y, i, 10)));
        }
    }

    /// With fraction 0.7, 6 of 8 images of a batch come from the extra data set, in a new random order at each step. The length
    /// of an epoch does not change.
    fn a_share_of_the_batch_is_extra() {
        let data = data();
        let mut trainer = Trainer::new(&config(Objective::Ce), &data, &Device::flex()).unwrap();
        let steps = trainer.steps(&data);
        trainer.extra_data = ImageSet { pixels: vec![255; 20 * IMAGE_LEN], labels: vec![3; 20], classes: data.classes.clone() }.into();
        assert_eq!(trainer.steps(&data), steps);
        for _ in 0..2 {
            trainer.step(&data);
            let (batch, _) = trainer.last.clone().unwrap();
            let (x, y) = (values(&batch.x), values(&batch.y));
            let white: Vec<usize> = (0..8).filter(|i| x[i * IMAGE_LEN..][..IMAGE_LEN].iter().all(|&v| v == 1.0)).collect();
            assert_eq!(white, [2, 3, 4, 5, 6, 7]);
            assert!(white.iter().all(|i| y[10 * i + 3] == 1.0));
        }
    }

    fn the_best_epoch_withstands_best() {
        let at = |epoch, clean, robust| validation::Validation { epoch, clean, robust };
        let history = [at(1, 0.5, 0.2), at(2, 0.6, 0.4), at(3, 0.7, 0.4), at(4, 0.7, 0.4), at(5, 0.9, 0.3)];
        assert_eq!(validation::best(&history).unwrap().epoch, 3);
        assert_eq!([0, 1, 2, 3].map(|patience| validation::is_over(&history, patience)), [false, true, true, false]);
        assert!(validation::best(&[]).is_none());
        assert!(!validation::is_over(&[], 1));
    }

    /// Validation measures the clean accuracy and the accuracy under PGD-10, like [`otjr::evaluate`]. It uses the averaged
    /// weights if there are any.
    fn epochs_are_judged_on_images_set_aside() {
        let mut data = data();
        let whole = data.clone();
        let aside = data.split_off_stratified(10);
        assert_eq!((data.len(), aside.len()), (25, 10));
        for i in 0..10 {
            assert!((0..data.len()).all(|j| data.image(j) != aside.image(i)));
            assert!((0..whole.len()).any(|j| whole.image(j) == aside.image(i) && whole.labels[j] == aside.labels[i]));
        }
        let (trainer, _) = stepped(&TrainConfig { average: 0.5, ..config(Objective::Pgd) });
        let flow = |_: &otjr::evaluate::State| std::ops::ControlFlow::Continue(());
        let judged = ready(validation::validate(&trainer, 1, &aside, flow)).unwrap().unwrap();
        let pixels = Batch::new(&aside, &(0..10).collect::<Vec<_>>(), &Device::flex());
        let z = values(&trainer.final_model().forward(pixels.x, &mut otjr::model::Pass::inference()).logits.value);
        let top = |z: &[f32]| (0..10).fold(0, |best, c| if z[c] > z[best] { c } else { best });
        let right = (0..10).filter(|&i| top(&z[10 * i..10 * i + 10]) == usize::from(aside.labels[i])).count();
        assert_eq!(judged.clean, right as f64 / 10.0);
        assert!(judged.robust <= judged.clean);
        assert!(judged.epoch == 1);
        let stopped = validation::validate(&trainer, 1, &aside, |_: &otjr::evaluate::State| std::ops::ControlFlow::Break(()));
        assert_eq!(ready(stopped).unwrap(), (right == 0).then_some(judged));
    }

    fn rates() {
        let at = |schedule, step| schedule::factor(&TrainConfig { schedule, ..TrainConfig::default() }, step, 100);
        assert_eq!([0, 74, 75, 89, 90, 99].map(|s| at(Schedule::Steps, s)), [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]);
        assert!(at(Schedule::Cosine, 0) == 1.0);
        assert!((at(Schedule::Cosine, 50) - 0.5).abs() < 1e-6);
        let cycle: Vec<f32> = (0..100).map(|s| at(Schedule::OneCycle, s)).collect();
        assert!(cycle[..30].is_sorted());
        assert!(cycle[30..].is_sorted_by(|a, b| a >= b));
        assert!(cycle[0] < 0.05);
        assert!(cycle[30] == 1.0);
        assert!(cycle[99] < 0.01);
    }

    /// Resumed runs are equal bit for bit, also across the end of an epoch and for every objective.
    fn resumed_runs_equal_uninterrupted_ones() {
        let extras = TrainConfig {
            accumulate: 2,
            clip: 1.0,
            cutout: 8,
            mixup: 0.5,
            label_smoothing: 0.1,
            awp: 0.01,
            warm_up: 1.0,
            decay_all: false,
            ..config(Objective::Sw)
        };
        let runs = [
            config(Objective::Otjr),
            TrainConfig { average: 0.9, ..config(Objective::Trades) },
            TrainConfig { head_only: true, ..config(Objective::Otjr) },
            extras,
        ];
        for config in runs {
            let (whole, losses) = train(&config, &[6]);
            let (parts, losses_of_parts) = train(&config, &[2, 5, 6]);
            assert_eq!(whole, parts, "{config:?}");
            assert_eq!(losses, losses_of_parts);
        }
    }

    fn every_objective_trains() {
        for &objective in Objective::ALL {
            let (_, losses) = train(&config(objective), &[3]);
            assert!(losses.iter().all(|loss| loss.is_finite()), "{objective}: {losses:?}");
        }
    }

    /// With `head_only` all other parameters stay equal bit for bit, and the checkpoint contains no velocities for them.
    fn the_last_layer_is_trained_alone() {
        let start = train(&TrainConfig { normalize: true, ..config(Objective::Ce) }, &[0]).0.arrays_with_prefix(MODEL_PREFIX);
        for &objective in Objective::ALL {
            let (checkpoint, losses) = train(&TrainConfig { head_only: true, normalize: true, ..config(objective) }, &[3]);
            assert!(losses.iter().all(|loss| loss.is_finite()), "{objective}: {losses:?}");
            let end = checkpoint.arrays_with_prefix(MODEL_PREFIX);
            let changed: Vec<_> = end.keys().filter(|name| end[*name] != start[*name]).collect();
            assert_eq!(changed, ["fc.bias", "fc.weight"], "{objective}");
            let velocities = checkpoint.arrays_with_prefix("optimiser.velocity.");
            assert_eq!(velocities.keys().collect::<Vec<_>>(), changed);
        }
    }

    /// Weight averaging: a' = d a + (1 - d) w' with d = min(decay, (1 + steps) / (10 + steps)), starting at the initial weights.
    /// The checkpoint's model is the average. Training continues from the weights without averaging.
    fn the_average_follows_the_weights() {
        let with = |average, step| train(&TrainConfig { average, ..config(Objective::Ce) }, &[step]).0;
        let [first, second] = [1, 2].map(|step| with(0.0, step).arrays_with_prefix(MODEL_PREFIX));
        let averaged = with(0.2, 2);
        assert_eq!(averaged.arrays_with_prefix("latest."), second);
        for (name, average) in averaged.arrays_with_prefix(MODEL_PREFIX) {
            for (i, a) in average.values.iter().enumerate() {
                // After the first step the average equals the weights.
                let expected = 0.2 * first[&name].values[i] + 0.8 * second[&name].values[i];
                assert!((a - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{name} {i}: {a} {expected}");
            }
        }
        assert!(with(0.0, 2).arrays_with_prefix("latest.").is_empty());
    }

    /// A run can start from a given model, and uses its architecture.
    fn runs_begin_with_a_given_model() {
        let (device, data) = (Device::flex(), data());
        let model = |classes| Model::new("resnet-18-w4".parse().unwrap(), classes, None, 9, &device).unwrap();
        let trainer = Trainer::with_model(&config(Objective::Ce), model(10), &data, &device).unwrap();
        let checkpoint = ready(trainer.checkpoint()).unwrap();
        assert_eq!(checkpoint.arrays_with_prefix(MODEL_PREFIX), ready(model(10).arrays()).unwrap());
        let again = Trainer::resume(&checkpoint, &data, &device).unwrap();
        assert_eq!((again.config.model, again.step), (model(10).architecture, 0));
        let other = Trainer::with_model(&config(Objective::Ce), model(9), &data, &device);
        assert!(matches!(other, Err(Error::Classes { expected: 9, found: 10 })));
    }

    /// With momentum 0, w' = w - rate (g + decay w) for one step. So two decays differ by rate * decay * w. With `decay_all`
    /// off, this applies only to kernels and matrices.
    fn weight_decay_and_rate() {
        let after = |weight_decay, decay_all| stepped(&TrainConfig { weight_decay, decay_all, ..plain(Objective::Ce) }).1;
        let undecayed = after(0.0, true);
        for decay_all in [true, false] {
            let decayed = after(0.1, decay_all);
            for name in ["fc.weight", "bn1.weight"] {
                let decay = if decay_all || name == "fc.weight" { 0.1 } else { 0.0 };
                for (i, w) in undecayed[0][name].values.iter().enumerate() {
                    let difference = undecayed[1][name].values[i] - decayed[1][name].values[i];
                    assert!((difference - 0.1 * decay * w).abs() < 1e-6, "{name} {decay_all}");
                }
            }
        }
    }

    /// A learning rate that is too large causes a divergence error.
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
        let mut others = data.clone();
        others.classes.reverse();
        assert!(matches!(Trainer::resume(&checkpoint, &others, &device), Err(Error::ClassNames { number: 0, .. })));
        let model = Checkpoint { arrays: checkpoint.arrays, ..Checkpoint::default() };
        assert!(matches!(Trainer::resume(&model, &data, &device), Err(Error::Checkpoint(_))));
        assert!(matches!(Trainer::new(&config(Objective::Ce), &ImageSet::default(), &device), Err(Error::TooFewImages(0))));
    }

    /// Velocities with unknown names or wrong shapes cause an error that contains their name.
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
        assert!(shape.contains("'optimiser.velocity.fc.bias' has shape [9], but the network needs [10]"), "{shape}");
        for foreign in ["fc.other", "bn1.running_mean"] {
            let message = with(&|a| drop(a.insert(name(foreign), Array { shape: vec![1], values: vec![0.0] })));
            assert!(message.contains(&format!("'{}' that a wrn-10-1 does not have", name(foreign))), "{message}");
        }
        let nan = with(&|a| a.get_mut(&name("fc.bias")).unwrap().values[3] = f32::NAN);
        assert!(nan.contains("NaN at position 3"), "{nan}");
    }

    /// Records survive serialization to postcard, which omits field names, and to JSON, also as written by earlier versions.
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
