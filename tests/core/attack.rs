//! What every attack must keep, and where it must end on models whose worst case is known.

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    attack::{Classifier, Goal, Observer, Progress, Threat, Worst, pgd::Pgd, training},
    batch::one_hot,
    config::{Norm, Objective, ObjectiveConfig, Pixels},
    model::{Model, Pass},
    random::{self, Purpose},
};

use crate::{ready, relative_error, tests, uniform, values};

/// z = W x + b over all pixels: the worst case within a ball is known.
struct Linear {
    weight: Tensor<2>,
    bias: Tensor<2>,
}

impl Linear {
    fn new(inputs: usize) -> Self {
        // Small enough that no softmax saturates: in float32 the cross-entropy of a sure model has no gradient.
        Self { weight: uniform(70, [inputs, 3], -0.02, 0.02), bias: uniform(71, [1, 3], -1.0, 1.0) }
    }
}

impl Classifier for Linear {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        let b = x.dims()[0] as i32;
        x.reshape([b, -1]).matmul(self.weight.clone()) + self.bias.clone()
    }
}

fn net() -> Model {
    Model::new("wrn-10-1".parse().unwrap(), 4, None, 21, &Device::flex()).unwrap()
}

fn pgd(norm: Norm, epsilon: f32) -> Pgd {
    let threat = Threat { norm, epsilon };
    Pgd { threat, step: epsilon / 4.0, steps: 6, restarts: 2, random_start: true, seed: 5 }
}

/// Pictures with many values at 0 and 1, where clipping bites.
fn pictures(n: usize) -> Tensor<4> {
    uniform(31, [n, 3, 32, 32], -0.3, 1.3).clamp(0.0, 1.0)
}

/// The model's own predictions as labels, so that every picture has to be attacked.
fn predicted(model: &impl Classifier, x: &Tensor<4>, classes: usize) -> Tensor<2> {
    let labels = model.logits(x.clone()).argmax(1).into_data();
    one_hot(&labels.iter::<i64>().map(|v| v as usize).collect::<Vec<_>>(), classes, &Device::flex())
}

fn run(pgd: &Pgd, model: &impl Classifier, x: &Tensor<4>, goal: &Goal) -> Worst {
    let ids: Vec<u64> = (0..x.dims()[0] as u64).collect();
    ready(pgd.run(model, x.clone(), goal, &ids, &mut ()))
}

const BALLS: [(Norm, f32); 4] = [(Norm::Linf, 8.0 / 255.0), (Norm::Linf, 0.3), (Norm::L2, 0.5), (Norm::L2, 3.0)];

tests! {
    /// Ball and [0,1] hold exactly, as float32 computes the difference.
    fn results_stay_in_ball_and_range() {
        let (model, x) = (net(), pictures(3));
        let goal = Goal::Avoid(predicted(&model, &x, 4));
        for (norm, epsilon) in BALLS {
            let attack = pgd(norm, epsilon);
            for attack in [Pgd::fgsm(attack.threat), attack] {
                let worst = values(&run(&attack, &model, &x, &goal).x);
                assert!(worst.iter().all(|v| (0.0..=1.0).contains(v)), "{norm} {epsilon}");
                for (a, x) in worst.chunks(3072).zip(values(&x).chunks(3072)) {
                    let d: Vec<f32> = a.iter().zip(x).map(|(a, x)| a - x).collect();
                    let size = match norm {
                        Norm::Linf => d.iter().fold(0f32, |m, v| m.max(v.abs())),
                        Norm::L2 => d.iter().map(|v| (*v as f64).powi(2)).sum::<f64>().sqrt() as f32,
                    };
                    assert!(size <= epsilon, "{norm}: {size} > {epsilon}");
                    assert!(size > 0.5 * epsilon || norm == Norm::L2, "{norm}: {size} uses little of {epsilon}");
                }
            }
        }
    }

    /// Over many roundings: random points, projected.
    fn projection_is_exact_and_idempotent() {
        let x = uniform(41, [8, 3, 32, 32], 0.0, 1.0);
        let far = x.clone() + uniform(42, [8, 3, 32, 32], -1.0, 1.0);
        for (norm, epsilon) in BALLS.into_iter().chain([(Norm::Linf, 0.031), (Norm::Linf, 1.0 / 3.0), (Norm::Linf, 1e-3)]) {
            let threat = Threat { norm, epsilon };
            let near = threat.project(far.clone(), x.clone());
            if norm == Norm::Linf {
                let largest = values(&(near.clone() - x.clone()).abs()).into_iter().fold(0.0, f32::max);
                assert!(largest <= epsilon, "{largest} > {epsilon}");
            }
            let again = values(&threat.project(near.clone(), x.clone()));
            assert!(relative_error(&again, &values(&near)) < 1e-6);
        }
    }

    fn epsilon_zero_is_the_identity() {
        let (model, x) = (net(), pictures(2));
        let goal = Goal::Avoid(predicted(&model, &x, 4));
        for norm in [Norm::Linf, Norm::L2] {
            for attack in [Pgd { step: 0.1, ..pgd(norm, 0.0) }, Pgd::fgsm(Threat { norm, epsilon: 0.0 })] {
                assert_eq!(values(&run(&attack, &model, &x, &goal).x), values(&x), "{norm}");
            }
        }
    }

    fn equal_seeds_give_equal_pictures() {
        let (model, x) = (net(), pictures(2));
        let goal = Goal::Avoid(predicted(&model, &x, 4));
        let with = |seed| values(&run(&Pgd { seed, ..pgd(Norm::Linf, 0.03) }, &model, &x, &goal).x);
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    /// A picture's attack does not depend on the batch that it is in.
    fn a_picture_alone_is_attacked_alike() {
        let (model, x) = (net(), pictures(3));
        let goal = predicted(&model, &x, 4);
        let attack = pgd(Norm::Linf, 0.03);
        let together = run(&attack, &model, &x, &Goal::Avoid(goal.clone()));
        for i in 0..3 {
            let (one, label) = (x.clone().narrow(0, i, 1), goal.clone().narrow(0, i, 1));
            let alone = ready(attack.run(&model, one, &Goal::Avoid(label), &[i as u64], &mut ()));
            let margins = (values(&alone.margin)[0], values(&together.margin)[i]);
            assert!((margins.0 - margins.1).abs() < 1e-3, "{margins:?}");
        }
    }

    fn more_steps_and_restarts_are_never_weaker() {
        let (model, x) = (net(), pictures(4));
        let goal = Goal::Avoid(predicted(&model, &x, 4));
        let margins = |steps, restarts| {
            let attack = Pgd { steps, restarts, step: 5e-4, ..pgd(Norm::Linf, 2e-3) };
            values(&run(&attack, &model, &x, &goal).margin)
        };
        let stood = |m: &[f32]| m.iter().filter(|m| **m >= 0.0).count();
        let few = margins(2, 1);
        for more in [margins(8, 1), margins(2, 3)] {
            assert!(few.iter().zip(&more).all(|(few, more)| more <= few), "{few:?} {more:?}");
            assert!(stood(&more) <= stood(&few));
        }
    }

    fn pictures_already_wrong_are_not_touched() {
        let (model, x) = (net(), pictures(3));
        let right = predicted(&model, &x, 4);
        // Labels shifted by one class: all wrong from the start.
        let wrong = Tensor::cat(vec![right.clone().narrow(1, 3, 1), right.narrow(1, 0, 3)], 1);
        let worst = run(&pgd(Norm::Linf, 0.03), &model, &x, &Goal::Avoid(wrong));
        assert_eq!(values(&worst.x), values(&x));
    }

    /// The attack leaves no trace in the model: running statistics, weights, mode.
    fn the_model_is_as_before() {
        let (model, x) = (net(), pictures(2));
        let before = ready(model.arrays()).unwrap();
        let goal = Goal::Avoid(predicted(&model, &x, 4));
        let logits = values(&model.forward(x.clone(), &mut Pass::inference()).logits.value);
        run(&pgd(Norm::Linf, 0.03), &model, &x, &goal);
        assert_eq!(ready(model.arrays()).unwrap(), before);
        assert_eq!(values(&model.forward(x, &mut Pass::inference()).logits.value), logits);
    }

    /// On a linear model of two classes: x - epsilon sign(w) and x - epsilon w / |w|, in one step and in many.
    fn linear_models_fall_as_far_as_they_can() {
        let model = {
            let three = Linear::new(3072);
            Linear { weight: three.weight.narrow(1, 0, 2), bias: three.bias.narrow(1, 0, 2) }
        };
        let x = uniform(43, [2, 3, 32, 32], 0.4, 0.6);
        let y = predicted(&model, &x, 2);
        let goal = Goal::Avoid(y.clone());
        let difference = {
            let w = values(&model.weight);
            let sign = values(&y).chunks(2).map(|y| y[0] - y[1]).collect::<Vec<_>>();
            sign.iter().flat_map(|s| w.chunks(2).map(move |w| s * (w[0] - w[1]))).collect::<Vec<f32>>()
        };
        for (norm, epsilon) in [(Norm::Linf, 0.02f32), (Norm::L2, 0.4)] {
            let threat = Threat { norm, epsilon };
            for attack in [Pgd::fgsm(threat), Pgd { steps: 12, step: epsilon / 3.0, ..pgd(norm, epsilon) }] {
                let fall = values(&(goal.margin(model.logits(x.clone())) - run(&attack, &model, &x, &goal).margin));
                for (fall, w) in fall.iter().zip(difference.chunks(3072)) {
                    let expected = epsilon * match norm {
                        Norm::Linf => w.iter().map(|v| v.abs()).sum::<f32>(),
                        Norm::L2 => w.iter().map(|v| v * v).sum::<f32>().sqrt(),
                    };
                    assert!((fall / expected - 1.0).abs() < 0.01, "{norm} {attack:?}: {fall} of {expected}");
                }
            }
        }
    }

    fn a_target_is_reached_and_only_it() {
        let (model, x) = (Linear::new(3072), uniform(44, [3, 3, 32, 32], 0.3, 0.7));
        for class in 0..3 {
            let target = one_hot(&[class; 3], 3, &Device::flex());
            let worst = run(&pgd(Norm::Linf, 0.2), &model, &x, &Goal::Reach(target));
            let reached = model.logits(worst.x).argmax(1).into_data();
            assert!(reached.iter::<i64>().all(|c| c == class as i64));
            assert!(values(&worst.margin).iter().all(|m| *m < 0.0));
        }
    }

    /// An observer sees every step and may end the attack; what was found is kept.
    fn an_observer_may_stop() {
        struct Stop(usize);
        impl Observer for Stop {
            async fn step(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
                assert_eq!((progress.done, progress.total), (self.0 + 1, 12));
                self.0 += 1;
                if self.0 == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
        }
        let (model, x) = (net(), pictures(1));
        let goal = Goal::Avoid(predicted(&model, &x, 4));
        let mut stop = Stop(0);
        let worst = ready(pgd(Norm::Linf, 0.03).run(&model, x.clone(), &goal, &[0], &mut stop));
        assert_eq!(stop.0, 3);
        assert_ne!(values(&worst.x), values(&x));
    }

    /// The attack inside training stays in its ball too, and raises the loss it is for.
    fn training_attacks_raise_their_loss() {
        let (model, x) = (net(), pictures(3));
        let y = predicted(&model, &x, 4);
        let config = ObjectiveConfig { train_epsilon: Pixels(0.02), ..ObjectiveConfig::default() };
        let margin = |x: &Tensor<4>| values(&Goal::Avoid(y.clone()).margin(model.logits(x.clone()))).iter().sum::<f32>();
        for objective in [Objective::Pgd, Objective::Trades] {
            let mut rng = random::stream(0, Purpose::Attack, 0);
            let x_adv = training::perturb(&model, &x, &y, objective, &config, &mut rng);
            let largest = values(&(x_adv.clone() - x.clone()).abs()).into_iter().fold(0.0, f32::max);
            assert!(largest <= 0.02 && largest > 0.019);
            assert!(margin(&x_adv) < margin(&x));
        }
    }

    /// The ten lines that it takes to attack something of one's own.
    fn anything_with_logits_can_be_attacked() {
        /// Class 1 where the picture is brighter than mid-grey on average.
        struct Brightness;
        impl Classifier for Brightness {
            fn logits(&self, x: Tensor<4>) -> Tensor<2> {
                let bright = x.mean_dims(&[1, 2, 3]).reshape([-1, 1]).sub_scalar(0.5);
                Tensor::cat(vec![-bright.clone(), bright], 1)
            }
        }
        let x: Tensor<4> = Tensor::from_data(TensorData::new(vec![0.52f32; 3072], [1, 3, 32, 32]), &Device::flex());
        let goal = Goal::Avoid(one_hot(&[1], 2, &Device::flex()));
        let attack = |epsilon| Pgd { steps: 12, ..pgd(Norm::Linf, epsilon) };
        let survives = |epsilon| values(&run(&attack(epsilon), &Brightness, &x, &goal).margin)[0] >= 0.0;
        assert!(survives(0.019) && !survives(0.021));
    }
}
