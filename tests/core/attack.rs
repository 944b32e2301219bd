//! Tests of the attacks on the CPU: invariants and shared components.

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    attack::{
        Attack, AttackBatch, AttackKind, AttackOutcome, Error, Goal, ModelOracle, Norm, Observer, Progress,
        StepSchedule, ThreatModel, inner, pgd::Pgd,
    },
    batch::one_hot,
    loss::{Objective, ObjectiveConfig},
    model::{Classifier, Model},
    prediction::top,
    random::{self, StreamId},
    settings::Pixels,
};

use crate::{
    invariants::{self, BALLS, Subject, attack, pixels, short, single},
    ready, tests, uniform, values,
};

const N: usize = 3072;

fn net() -> Model {
    Model::new("wrn-10-1".parse().unwrap(), 4, None, 21, &Device::flex()).unwrap()
}

fn subject(model: &Model) -> Subject<'_, Model> {
    Subject { model, device: Device::flex(), shape: [3, 32, 32] }
}

fn images(n: usize) -> Vec<f32> {
    pixels(n * N)
}

pub fn logits(model: &impl Classifier, x: &[f32]) -> Vec<Vec<f32>> {
    let query = ModelOracle::new(model, &Device::flex(), [3, 32, 32], 2);
    ready(query.logits(x)).unwrap().rows().map(<[f32]>::to_vec).collect()
}

/// Untargeted goals with the model's own predictions as labels, so that no image counts as misclassified beforehand.
pub fn task(model: &impl Classifier, x: Vec<f32>) -> AttackBatch {
    let goals: Vec<Goal> = logits(model, &x).iter().map(|z| Goal::Untargeted(top(z))).collect();
    let ids = (0..goals.len() as u64).collect();
    AttackBatch { images: x, goals, image_ids: ids }
}

fn attempt(attack: &impl Attack, model: &impl Classifier, task: &AttackBatch) -> Result<Vec<AttackOutcome>, Error> {
    // The batch size is 2. Results must not depend on it.
    ready(attack.run(&ModelOracle::new(model, &Device::flex(), [3, 32, 32], 2), task, &mut ()))
}

pub fn run(attack: &impl Attack, model: &impl Classifier, task: &AttackBatch) -> Vec<AttackOutcome> {
    attempt(attack, model, task).unwrap()
}

pub fn pgd(norm: Norm, epsilon: f32) -> Pgd {
    let threat = ThreatModel { norm, epsilon };
    Pgd { step: epsilon / 4.0, steps: 6, restarts: 2, random_start: true, seed: 5, ..Pgd::fgsm(threat) }
}

tests! {
    fn results_stay_in_ball_and_range() {
        ready(subject(&net()).results_stay_in_ball_and_range());
    }

    fn epsilon_zero_is_the_identity() {
        ready(subject(&net()).epsilon_zero_is_the_identity());
    }

    fn equal_seeds_give_equal_images() {
        ready(subject(&net()).equal_seeds_give_equal_images());
    }

    fn more_is_never_weaker() {
        ready(subject(&net()).more_is_never_weaker());
    }

    fn images_already_wrong_are_not_touched() {
        ready(subject(&net()).images_already_wrong_are_not_touched());
    }

    fn outputs_that_are_no_numbers_are_refused() {
        ready(subject(&net()).outputs_that_are_no_numbers_are_refused());
    }

    fn the_model_is_as_before() {
        let all: Vec<_> = single().map(|kind| (kind, if kind == AttackKind::Cw { Norm::L2 } else { Norm::Linf })).collect();
        ready(invariants::the_model_is_as_before(&subject(&net()), &all));
    }

    /// Projects many random points, to cover many cases of rounding.
    fn projection_is_exact_and_idempotent() {
        let x = values(&uniform(41, [4 * N], 0.0, 1.0));
        let far: Vec<f32> = x.iter().zip(values(&uniform(42, [4 * N], -1.0, 1.0))).map(|(x, d)| x + d).collect();
        let odd = [(Norm::Linf, 0.031), (Norm::Linf, 1.0 / 3.0), (Norm::Linf, 1e-3), (Norm::L2, 3.0), (Norm::L1, 0.1)];
        for (norm, epsilon) in BALLS.into_iter().chain(odd) {
            let threat = ThreatModel { norm, epsilon };
            for (x, far) in x.chunks(N).zip(far.chunks(N)) {
                let mut near = far.to_vec();
                threat.project(&mut near, x);
                assert!(threat.distance(&near, x) <= epsilon, "{norm} {epsilon}");
                assert!(near.iter().all(|v| (0.0..=1.0).contains(v)));
                let mut again = near.clone();
                threat.project(&mut again, x);
                assert!(Norm::Linf.distance(&again, &near) < 1e-6, "{norm} {epsilon}");
                // The projection lies near the surface of the ball, because the points were far outside.
                assert!(threat.distance(&near, x) > 0.98 * epsilon || norm == Norm::L2, "{norm} {epsilon}");
            }
        }
    }

    /// Uniform samples from the L1 ball lie mostly near its surface, and no pixel changes by much more than the average.
    fn a_random_start_in_l1_moves_every_pixel() {
        let (x, epsilon) = (vec![0.5; N], 12.0);
        let threat = ThreatModel { norm: Norm::L1, epsilon };
        let drawn = threat.random(&x, &mut random::stream(7, StreamId::Attack, 0));
        let size = threat.distance(&drawn, &x);
        assert!(size > 0.99 * epsilon, "{size}");
        assert!(size <= epsilon, "{size}");
        let moved: Vec<f32> = drawn.iter().zip(&x).map(|(a, x)| (a - x) * N as f32 / epsilon).collect();
        let share = |of: &dyn Fn(f32) -> bool| moved.iter().filter(|d| of(**d)).count() as f32 / N as f32;
        assert!(moved.iter().all(|d| d.abs() < 20.0), "a share of 20 comes once in 10^5 draws");
        // In an exponential distribution 1/e of the values exceed the mean. Half of the changes are positive.
        assert!((share(&|d| d.abs() > 1.0) - 0.368).abs() < 0.03);
        assert!((share(&|d| d > 0.0) - 0.5).abs() < 0.03);
    }

    /// The attack on an image depends neither on the other images of the batch nor on which of them are already misclassified.
    fn a_image_alone_is_attacked_alike() {
        let model = net();
        let together = task(&model, images(3));
        for kind in [AttackKind::Pgd, AttackKind::ApgdCe, AttackKind::FabT, AttackKind::Square] {
            let attack = attack(&short(kind, Norm::Linf, 0.004));
            let found = run(&attack, &model, &together);
            let (x, goals, ids) = (together.image(2).to_vec(), vec![together.goals[2]], vec![2]);
            let alone = &run(&attack, &model, &AttackBatch { images: x, goals, image_ids: ids })[0];
            assert_eq!(alone.succeeded(), found[2].succeeded(), "{kind}");
            assert!((alone.margin - found[2].margin).abs() < 1e-3, "{kind} {} {}", alone.margin, found[2].margin);
        }
    }

    /// A NaN inside a network is detected, even if its ReLUs hide it.
    fn networks_that_are_damaged_are_refused() {
        let mut arrays = ready(net().arrays()).unwrap();
        arrays.get_mut("bn1.running_var").unwrap().values[0] = -1.0;
        let model = Model::from_arrays(&arrays, &Device::flex()).unwrap();
        let task = AttackBatch { images: images(1), goals: vec![Goal::Untargeted(0)], image_ids: vec![0] };
        assert_eq!(attempt(&pgd(Norm::Linf, 0.03), &model, &task), Err(Error::NotFinite));
    }

    /// The step-size schedules give different results.
    fn schedules_of_steps_differ() {
        let model = net();
        let task = task(&model, images(1));
        let with = |schedule| run(&Pgd { schedule, ..pgd(Norm::Linf, 0.002) }, &model, &task)[0].margin;
        let all = [StepSchedule::Constant, StepSchedule::Linear, StepSchedule::Cosine].map(with);
        assert!(all[0] != all[1], "{all:?}");
        assert!(all[1] != all[2], "{all:?}");
    }

    /// An observer is called after each step and can stop the attack. The result so far is returned.
    fn an_observer_may_stop() {
        struct Stop(usize);
        impl Observer for Stop {
            async fn step(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
                assert_eq!((progress.done, progress.total), (self.0 + 1, 12));
                self.0 += 1;
                if self.0 == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
        }
        let model = net();
        let task = task(&model, images(1));
        let mut stop = Stop(0);
        let query = ModelOracle::new(&model, &Device::flex(), [3, 32, 32], 1);
        let found = ready(pgd(Norm::Linf, 0.03).run(&query, &task, &mut stop)).unwrap();
        assert_eq!(stop.0, 3);
        assert_ne!(found[0].x, task.images);
    }

    /// The attack in a training step stays in its epsilon ball and decreases the margin.
    fn training_attacks_raise_their_loss() {
        let model = net();
        let task = task(&model, images(3));
        let x: Tensor<4> = Tensor::from_data(TensorData::new(task.images.clone(), [3, 3, 32, 32]), &Device::flex());
        let labels: Vec<usize> = logits(&model, &task.images).iter().map(|z| top(z)).collect();
        let y = one_hot(&labels, 4, &Device::flex());
        let config = ObjectiveConfig { train_epsilon: Pixels(0.02), ..ObjectiveConfig::default() };
        let margins = |x: &[f32]| -> f32 {
            logits(&model, x).iter().zip(&task.goals).map(|(z, goal)| goal.margin(z)).sum()
        };
        for objective in [Objective::Pgd, Objective::Trades] {
            let mut rng = random::stream(0, StreamId::Attack, 0);
            let noise = inner::noise(x.dims(), &config, &mut rng, &x.device());
            let x_adv = values(&inner::perturb(&model, &x, &y, objective, &config, noise));
            let largest = Norm::Linf.distance(&x_adv, &task.images);
            assert!(largest <= 0.02 + f32::EPSILON);
            assert!(largest > 0.019);
            assert!(margins(&x_adv) < margins(&task.images));
        }
    }

    /// A minimal custom classifier can be attacked.
    fn anything_with_logits_can_be_attacked() {
        /// Predicts class 1 if the mean of the image is above 0.5.
        struct Brightness;
        impl Classifier for Brightness {
            fn logits(&self, x: Tensor<4>) -> Tensor<2> {
                let bright = x.mean_dims(&[1, 2, 3]).reshape([-1, 1]).sub_scalar(0.5);
                Tensor::cat(vec![-bright.clone(), bright], 1)
            }
        }
        let task = AttackBatch { images: vec![0.52; N], goals: vec![Goal::Untargeted(1)], image_ids: vec![0] };
        let survives = |epsilon| !run(&Pgd { steps: 12, ..pgd(Norm::Linf, epsilon) }, &Brightness, &task)[0].succeeded();
        assert!(survives(0.019));
        assert!(!survives(0.021));
    }
}
