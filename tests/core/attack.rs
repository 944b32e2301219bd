//! What every attack must keep, and where it must end on models whose worst case is known.

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    attack::{
        Attack, Classifier, Error, Found, Goal, Loss, Observer, Progress, Query, Task, Threat, apgd::checkpoints,
        autoattack, boundary::reach, method::stages, pgd::Pgd, square::shrunk, training,
    },
    batch::one_hot,
    config::{AttackConfig, AttackKind, Norm, Objective, ObjectiveConfig, Pixels, StepSchedule},
    model::{Model, Pass},
    random::{self, Purpose},
};

use crate::{ready, tests, uniform, values};

const N: usize = 3072;

/// z = W x + b over all pixels: the worst case within a ball is known.
struct Linear {
    weight: Tensor<2>,
    bias: Tensor<2>,
}

impl Linear {
    fn new(classes: usize) -> Self {
        Self { weight: uniform(70, [N, classes], -0.02, 0.02), bias: uniform(71, [1, classes], -1.0, 1.0) }
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

/// Pictures with many values at 0 and 1, where clipping bites.
fn pictures(n: usize) -> Vec<f32> {
    values(&uniform(31, [n * N], -0.3, 1.3).clamp(0.0, 1.0))
}

fn grey(n: usize) -> Vec<f32> {
    values(&uniform(43, [n * N], 0.4, 0.6))
}

fn logits(model: &impl Classifier, x: &[f32]) -> Vec<Vec<f32>> {
    let query = Query::new(model, &Device::flex(), [3, 32, 32], 2);
    ready(query.logits(x)).unwrap().rows().map(<[f32]>::to_vec).collect()
}

fn top(z: &[f32]) -> usize {
    (0..z.len()).max_by(|&a, &b| z[a].total_cmp(&z[b])).unwrap()
}

/// The model's own predictions are to be avoided, so that every picture has to be attacked.
fn task(model: &impl Classifier, x: Vec<f32>) -> Task {
    let goals: Vec<Goal> = logits(model, &x).iter().map(|z| Goal::Avoid(top(z))).collect();
    let ids = (0..goals.len() as u64).collect();
    Task { x, goals, ids }
}

fn attempt(attack: &impl Attack, model: &impl Classifier, task: &Task) -> Result<Vec<Found>, Error> {
    // Batches of two: what an attack finds must not depend on them.
    ready(attack.run(&Query::new(model, &Device::flex(), [3, 32, 32], 2), task, &mut ()))
}

fn run(attack: &impl Attack, model: &impl Classifier, task: &Task) -> Vec<Found> {
    attempt(attack, model, task).unwrap()
}

/// Every single attack, short, in a ball.
fn short(kind: AttackKind, norm: Norm, epsilon: f32) -> AttackConfig {
    let config = AttackConfig::of(kind, norm);
    AttackConfig {
        epsilon: Pixels(epsilon),
        step: Pixels(epsilon / 3.0),
        steps: config.steps.min(6),
        queries: 12,
        targets: 2,
        ..config
    }
}

fn single() -> impl Iterator<Item = AttackKind> {
    AttackKind::ALL.iter().copied().filter(|kind| !kind.is_suite())
}

fn attack(config: &AttackConfig) -> impl Attack + use<> {
    stages(config, 4).unwrap().remove(0).method
}

const BALLS: [(Norm, f32); 5] =
    [(Norm::Linf, 8.0 / 255.0), (Norm::Linf, 0.3), (Norm::L2, 0.5), (Norm::L1, 12.0), (Norm::L1, 400.0)];

fn pgd(norm: Norm, epsilon: f32) -> Pgd {
    let threat = Threat { norm, epsilon };
    Pgd { step: epsilon / 4.0, steps: 6, restarts: 2, random_start: true, seed: 5, ..Pgd::fgsm(threat) }
}

tests! {
    /// Ball and [0,1] hold exactly, as float32 computes the difference, for every attack and norm.
    fn results_stay_in_ball_and_range() {
        let model = net();
        let task = task(&model, pictures(2));
        for kind in single() {
            for (norm, epsilon) in BALLS {
                if kind == AttackKind::Cw && norm != Norm::L2 {
                    continue;
                }
                let found = run(&attack(&short(kind, norm, epsilon)), &model, &task);
                for (i, found) in found.iter().enumerate() {
                    assert!(found.x.iter().all(|v| (0.0..=1.0).contains(v)), "{kind} {norm} {epsilon}");
                    let size = norm.distance(&found.x, task.picture(i));
                    assert!(size <= epsilon, "{kind} {norm}: {size} > {epsilon}");
                    let z = &logits(&model, &found.x)[0];
                    assert!((task.goals[i].margin(z) - found.margin).abs() < 1e-4, "{kind} {norm}");
                    assert!(found.distance.is_none_or(|d| !found.fallen() || d <= epsilon), "{kind} {norm}");
                }
            }
        }
    }

    /// Over many roundings: random points, projected.
    fn projection_is_exact_and_idempotent() {
        let x = values(&uniform(41, [4 * N], 0.0, 1.0));
        let far: Vec<f32> = x.iter().zip(values(&uniform(42, [4 * N], -1.0, 1.0))).map(|(x, d)| x + d).collect();
        let odd = [(Norm::Linf, 0.031), (Norm::Linf, 1.0 / 3.0), (Norm::Linf, 1e-3), (Norm::L2, 3.0), (Norm::L1, 0.1)];
        for (norm, epsilon) in BALLS.into_iter().chain(odd) {
            let threat = Threat { norm, epsilon };
            for (x, far) in x.chunks(N).zip(far.chunks(N)) {
                let mut near = far.to_vec();
                threat.project(&mut near, x);
                assert!(threat.distance(&near, x) <= epsilon, "{norm} {epsilon}");
                assert!(near.iter().all(|v| (0.0..=1.0).contains(v)));
                let mut again = near.clone();
                threat.project(&mut again, x);
                assert!(Norm::Linf.distance(&again, &near) < 1e-6, "{norm} {epsilon}");
                // The ball is used: the points were far outside.
                assert!(threat.distance(&near, x) > 0.98 * epsilon || norm == Norm::L2, "{norm} {epsilon}");
            }
        }
    }

    /// No point of ball and box is nearer than the L1 projection: moving weight between two pixels only goes further.
    fn the_l1_projection_is_the_nearest_point() {
        let x = grey(1);
        let far: Vec<f32> = x.iter().zip(values(&uniform(44, [N], -0.8, 0.8))).map(|(x, d)| x + d).collect();
        let mut near = far.clone();
        Threat { norm: Norm::L1, epsilon: 200.0 }.project(&mut near, &x);
        // Optimality: what was taken off is the same lambda wherever neither 0 nor a wall was hit.
        let inside = |i: &usize| near[*i] != x[*i] && near[*i] > 0.0 && near[*i] < 1.0;
        let taken: Vec<f32> = (0..N).filter(inside).map(|i| (far[i] - near[i]).abs()).collect();
        let (least, most) = taken.iter().fold((f32::MAX, 0f32), |(a, b), &v| (a.min(v), b.max(v)));
        assert!(taken.len() > 100 && most - least < 1e-4, "{} {least} {most}", taken.len());
        for i in 0..N {
            let d = (far[i] - x[i]).abs();
            assert!(near[i] != x[i] || d <= most + 1e-4, "pixel {i} was left at the picture though it had {d}");
        }
    }

    fn epsilon_zero_is_the_identity() {
        let model = net();
        let task = task(&model, pictures(2));
        for kind in single() {
            for norm in [Norm::Linf, Norm::L2, Norm::L1] {
                if kind == AttackKind::Cw && norm != Norm::L2 {
                    continue;
                }
                let config = AttackConfig { step: Pixels(0.1), steps: 2, queries: 2, ..short(kind, norm, 0.0) };
                let found = run(&attack(&config), &model, &task);
                let x: Vec<f32> = found.into_iter().flat_map(|f| f.x).collect();
                assert_eq!(x, task.x, "{kind} {norm}");
            }
        }
    }

    fn equal_seeds_give_equal_pictures() {
        let model = net();
        let task = task(&model, pictures(2));
        for kind in single().filter(|kind| kind.uses("seed")) {
            let with = |seed| {
                let restarts = if kind == AttackKind::Fab || kind == AttackKind::FabT { 2 } else { 1 };
                run(&attack(&AttackConfig { seed, restarts, ..short(kind, Norm::Linf, 0.002) }), &model, &task)
            };
            assert_eq!(with(1), with(1), "{kind}");
            // Boundary attacks forget where they began.
            if !matches!(kind, AttackKind::Fab | AttackKind::FabT) {
                assert_ne!(with(1), with(2), "{kind}");
            }
        }
    }

    /// A picture's attack does not depend on the batch that it is in, nor on which others have fallen before it.
    fn a_picture_alone_is_attacked_alike() {
        let model = net();
        let together = task(&model, pictures(3));
        for kind in [AttackKind::Pgd, AttackKind::ApgdCe, AttackKind::FabT, AttackKind::Square] {
            let attack = attack(&short(kind, Norm::Linf, 0.004));
            let found = run(&attack, &model, &together);
            let (x, goals, ids) = (together.picture(2).to_vec(), vec![together.goals[2]], vec![2]);
            let alone = &run(&attack, &model, &Task { x, goals, ids })[0];
            assert_eq!(alone.fallen(), found[2].fallen(), "{kind}");
            assert!((alone.margin - found[2].margin).abs() < 1e-3, "{kind} {} {}", alone.margin, found[2].margin);
        }
    }

    fn more_steps_and_restarts_are_never_weaker() {
        let model = net();
        let task = task(&model, pictures(4));
        for kind in single() {
            let norm = if kind == AttackKind::Cw { Norm::L2 } else { Norm::Linf };
            let few = short(kind, norm, if norm == Norm::L2 { 0.05 } else { 2e-3 });
            let fallen = |config: &AttackConfig| run(&attack(config), &model, &task).iter().map(Found::fallen).collect::<Vec<_>>();
            let margins = |config: &AttackConfig| run(&attack(config), &model, &task).iter().map(|f| f.margin).collect::<Vec<_>>();
            // APGD's schedule depends on the number of steps, and each c of cw gets more of them: only restarts nest.
            let longer = matches!(kind, AttackKind::Pgd | AttackKind::Bim | AttackKind::MiFgsm | AttackKind::Fab
                | AttackKind::FabT | AttackKind::Deepfool | AttackKind::Square | AttackKind::Simba);
            let mut more = Vec::new();
            if longer {
                more.push(AttackConfig { steps: 2 * few.steps, queries: 2 * few.queries, ..few.clone() });
            }
            if kind.uses("restarts") {
                more.push(AttackConfig { restarts: 3, ..few.clone() });
            }
            for more in more {
                let both = fallen(&few).into_iter().zip(fallen(&more));
                assert!(both.into_iter().all(|(few, more)| more || !few), "{kind}");
                if kind == AttackKind::Pgd {
                    assert!(margins(&few).iter().zip(margins(&more)).all(|(few, more)| more <= *few));
                }
            }
        }
    }

    fn pictures_already_wrong_are_not_touched() {
        let model = net();
        let mut task = task(&model, pictures(2));
        for goal in &mut task.goals {
            let Goal::Avoid(y) = *goal else { unreachable!() };
            *goal = Goal::Avoid((y + 1) % 4);
        }
        for kind in single() {
            let norm = if kind == AttackKind::Cw { Norm::L2 } else { Norm::Linf };
            let found = run(&attack(&short(kind, norm, 0.03)), &model, &task);
            assert_eq!(found.iter().flat_map(|f| f.x.clone()).collect::<Vec<_>>(), task.x, "{kind}");
            assert!(found.iter().all(|f| f.fallen() && f.distance == Some(0.0)), "{kind}");
        }
    }

    /// Attacks leave no trace in the model: running statistics, weights, mode.
    fn the_model_is_as_before() {
        let model = net();
        let before = ready(model.arrays()).unwrap();
        let task = task(&model, pictures(1));
        let x: Tensor<4> = Tensor::from_data(TensorData::new(task.x.clone(), [1, 3, 32, 32]), &Device::flex());
        let logits = values(&model.forward(x.clone(), &mut Pass::inference()).logits.value);
        for kind in single() {
            let norm = if kind == AttackKind::Cw { Norm::L2 } else { Norm::Linf };
            run(&attack(&AttackConfig { steps: 2, queries: 2, ..short(kind, norm, 0.03) }), &model, &task);
        }
        assert_eq!(ready(model.arrays()).unwrap(), before);
        assert_eq!(values(&model.forward(x, &mut Pass::inference()).logits.value), logits);
    }

    /// A model whose output is not a number is refused, not called robust.
    fn outputs_that_are_no_numbers_are_refused() {
        struct Broken;
        impl Classifier for Broken {
            fn logits(&self, x: Tensor<4>) -> Tensor<2> {
                let b = x.dims()[0] as i32;
                x.reshape([b, -1]).narrow(1, 0, 4).mul_scalar(f32::NAN)
            }
        }
        let task = Task { x: pictures(1), goals: vec![Goal::Avoid(0)], ids: vec![0] };
        for kind in single() {
            let norm = if kind == AttackKind::Cw { Norm::L2 } else { Norm::Linf };
            assert_eq!(attempt(&attack(&short(kind, norm, 0.03)), &Broken, &task), Err(Error::NotFinite), "{kind}");
        }
    }

    /// Nor does a real network hide it behind its ReLUs.
    fn networks_that_are_damaged_are_refused() {
        let mut arrays = ready(net().arrays()).unwrap();
        arrays.get_mut("bn1.running_var").unwrap().values[0] = -1.0;
        let model = Model::from_arrays(&arrays, &Device::flex()).unwrap();
        let task = Task { x: pictures(1), goals: vec![Goal::Avoid(0)], ids: vec![0] };
        assert_eq!(attempt(&pgd(Norm::Linf, 0.03), &model, &task), Err(Error::NotFinite));
    }

    /// On a linear model of two classes the margin falls by epsilon times the dual size of w, in one step and in many.
    fn linear_models_fall_as_far_as_they_can() {
        let model = Linear::new(2);
        let task = task(&model, grey(2));
        let w = differences(&model, &task);
        for (norm, epsilon) in [(Norm::Linf, 0.02f32), (Norm::L2, 0.4)] {
            let threat = Threat { norm, epsilon };
            let steps = Pgd { steps: 12, step: epsilon / 3.0, ..pgd(norm, epsilon) };
            let apgd = |config| attack(&AttackConfig { steps: 20, ..config });
            let before = run(&Pgd { steps: 1, step: 0.0, random_start: false, restarts: 1, ..steps.clone() }, &model, &task);
            let found = [
                run(&Pgd::fgsm(threat), &model, &task),
                run(&steps, &model, &task),
                run(&Pgd { loss: Loss::Margin, ..steps.clone() }, &model, &task),
                run(&Pgd { momentum: 1.0, ..steps }, &model, &task),
            ];
            for found in &found {
                for ((found, before), w) in found.iter().zip(&before).zip(w.chunks(N)) {
                    let dual = if norm == Norm::Linf { Norm::L1 } else { Norm::L2 };
                    let fall = before.margin - found.margin;
                    let expected = epsilon * dual.size(w.iter().copied());
                    assert!((fall / expected - 1.0).abs() < 0.01, "{norm}: {fall} of {expected}");
                }
            }
            // It stops as soon as the picture falls; a smaller ball does not suffice for that.
            let small = short(AttackKind::ApgdCe, norm, epsilon / 100.0);
            let found = run(&apgd(small), &model, &task);
            for ((found, before), w) in found.iter().zip(&before).zip(w.chunks(N)) {
                let dual = if norm == Norm::Linf { Norm::L1 } else { Norm::L2 };
                let expected = epsilon / 100.0 * dual.size(w.iter().copied());
                let fall = before.margin - found.margin;
                assert!(found.fallen() || (fall / expected - 1.0).abs() < 0.01, "{norm}: {fall} of {expected}");
            }
        }
    }

    /// DeepFool and FAB find the exact distance to the boundary of a linear model; Carlini and Wagner come near.
    fn boundary_attacks_find_the_smallest_perturbation() {
        let model = Linear::new(2);
        let task = task(&model, grey(2));
        let margins: Vec<f32> = logits(&model, &task.x).iter().zip(&task.goals).map(|(z, g)| g.margin(z)).collect();
        let w = differences(&model, &task);
        for (norm, dual) in [(Norm::Linf, Norm::L1), (Norm::L2, Norm::L2), (Norm::L1, Norm::Linf)] {
            for kind in [AttackKind::Deepfool, AttackKind::Fab, AttackKind::FabT, AttackKind::Cw] {
                if kind == AttackKind::Cw && norm != Norm::L2 {
                    continue;
                }
                // In a ball of no size nothing falls, and the search goes on.
                let steps = if kind == AttackKind::Cw { 100 } else { 20 };
                let config = AttackConfig { steps, ..short(kind, norm, 0.0) };
                let attack = stages(&config, 2).unwrap().remove(0).method;
                let found = run(&attack, &model, &task);
                for ((found, margin), w) in found.iter().zip(&margins).zip(w.chunks(N)) {
                    let exact = if norm == Norm::L1 {
                        norm.size(reach(norm, &task.x[..N], w, f64::from(*margin)).into_iter())
                    } else {
                        margin / dual.size(w.iter().copied())
                    };
                    let distance = found.distance.unwrap();
                    let slack = match kind {
                        AttackKind::Cw => 1.1,
                        AttackKind::Deepfool => 1.025,
                        _ if norm == Norm::L1 => 1.06,
                        _ => 1.01,
                    };
                    assert!(distance > 0.99 * exact && distance < slack * exact, "{kind} {norm}: {distance}, exact {exact}");
                }
            }
        }
    }

    /// Onto the hyperplane, inside the box, and no smaller: pixels that are not at a wall share the load as the norm wants.
    fn the_way_to_a_hyperplane_is_the_shortest() {
        let t = pictures(1);
        let w = values(&uniform(51, [N], -1.0, 1.0));
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            for c in [-300.0, -2.0, 0.0, 1e-4, 5.0, 200.0] {
                let d = reach(norm, &t, &w, c);
                let reached: f64 = w.iter().zip(&d).map(|(w, d)| f64::from(w * d)).sum();
                assert!((reached - c).abs() < 1e-4 * c.abs().max(1.0), "{norm} {c}: {reached}");
                assert!(t.iter().zip(&d).all(|(t, d)| (-1e-6..=1.0 + 1e-6).contains(&(t + d))));
                let free = |i: &usize| d[*i] != 0.0 && (1e-6..1.0 - 1e-6).contains(&(t[*i] + d[*i]));
                let load: Vec<f32> = (0..N).filter(free).map(|i| match norm {
                    Norm::Linf => d[i].abs(),
                    _ => d[i].abs() / w[i].abs(),
                }).collect();
                let (least, most) = load.iter().fold((f32::MAX, 0f32), |(a, b), &v| (a.min(v), b.max(v)));
                match norm {
                    Norm::L1 => assert!(load.len() <= 1, "{c}: {} pixels on their way", load.len()),
                    _ => assert!(load.is_empty() || most - least < 1e-3 * most, "{norm} {c}: {least} {most}"),
                }
            }
            // Out of reach: as far as it goes.
            let d = reach(norm, &t, &w, 1e9);
            assert!(t.iter().zip(&d).zip(&w).all(|((t, d), w)| (t + d - if *w > 0.0 { 1.0 } else { 0.0 }).abs() < 1e-6));
        }
    }

    /// What the losses say of their derivatives is true, and DLR is blind to scale.
    fn losses_match_their_differences() {
        let z = [1.5f32, -0.3, 2.2, 0.7, -1.1];
        for loss in [Loss::CrossEntropy, Loss::Margin, Loss::Dlr, Loss::DlrTowards(3)] {
            for goal in [Goal::Avoid(0), Goal::Avoid(2), Goal::Reach(1)] {
                let value = |z: &[f32]| loss.ascend(goal, z, &mut [0.0; 5]);
                let mut dz = [0f32; 5];
                loss.ascend(goal, &z, &mut dz);
                for j in 0..5 {
                    let moved = |h: f32| { let mut z = z; z[j] += h; value(&z) };
                    let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
                    assert!((slope - f64::from(dz[j])).abs() < 2e-3, "{loss:?} {goal:?} {j}: {slope} {}", dz[j]);
                }
                if matches!(loss, Loss::Dlr | Loss::DlrTowards(_)) {
                    let large = z.map(|v| 10.0 * v);
                    assert!((value(&large) - value(&z)).abs() < 1e-6);
                }
            }
        }
        // -(z_y - max z_j) / (z_1 - z_3), (z_t - z_y) / (z_1 - (z_3 + z_4) / 2), by hand.
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        near(Loss::Dlr.ascend(Goal::Avoid(2), &z, &mut [0.0; 5]), -(2.2 - 1.5) / (2.2 - 0.7));
        near(Loss::DlrTowards(1).ascend(Goal::Avoid(2), &z, &mut [0.0; 5]), (-0.3 - 2.2) / (2.2 - (0.7 - 0.3) / 2.0));
        // A sure model: float32 would say p = 1 and give no gradient.
        let mut dz = [0f32; 3];
        let value = Loss::CrossEntropy.ascend(Goal::Avoid(0), &[40.0, 0.0, 1.0], &mut dz);
        assert!(value > 0.0 && dz[0] < 0.0 && dz[2] > dz[1] && dz[1] > 0.0, "{value} {dz:?}");
    }

    /// Auto-PGD looks at its step size at the published checkpoints; Square shrinks when it should.
    fn schedules_are_the_published_ones() {
        assert_eq!(checkpoints(Norm::Linf, 100), [22, 41, 57, 70, 80, 87, 93, 99]);
        assert_eq!(checkpoints(Norm::L1, 100)[..3], [4, 8, 12]);
        assert_eq!(checkpoints(Norm::L2, 3), [1, 2, 3]);
        let halvings = [(10, 0), (11, 1), (50, 1), (51, 2), (500, 3), (1001, 5), (4999, 7)];
        for (at, n) in halvings {
            assert_eq!(shrunk(at), 0.5f64.powi(n), "{at}");
        }
    }

    /// AutoAttack's versions, and what too few classes leave of them.
    fn autoattack_has_its_published_parts() {
        let threat = Threat { norm: Norm::Linf, epsilon: 0.1 };
        let names = |kind, classes| -> Vec<&str> {
            autoattack::stages(kind, threat, classes, 0).iter().map(|stage| stage.name).collect()
        };
        assert_eq!(names(AttackKind::Autoattack, 10), ["apgd-ce", "apgd-t", "fab-t", "square"]);
        assert_eq!(names(AttackKind::AutoattackPlus, 10), ["apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"]);
        assert_eq!(names(AttackKind::AutoattackRand, 10), ["apgd-ce", "apgd-dlr"]);
        assert_eq!(names(AttackKind::Autoattack, 3), ["apgd-ce", "fab-t", "square"]);
        assert_eq!(names(AttackKind::AutoattackRand, 2), ["apgd-ce"]);
        let flags = autoattack::left_out(AttackKind::Autoattack, 3);
        assert!(flags.len() == 1 && flags[0].to_string().contains("apgd-t"), "{flags:?}");
        assert_eq!(autoattack::left_out(AttackKind::Autoattack, 10), []);
    }

    fn a_target_is_reached_and_only_it() {
        let model = Linear::new(5);
        let x = values(&uniform(44, [3 * N], 0.3, 0.7));
        for class in 0..3 {
            let task = Task { x: x.clone(), goals: vec![Goal::Reach(class); 3], ids: vec![0, 1, 2] };
            for kind in single() {
                let norm = if kind == AttackKind::Cw { Norm::L2 } else { Norm::Linf };
                let config = AttackConfig { queries: 6000, steps: 60, ..short(kind, norm, if norm == Norm::L2 { 20.0 } else { 0.2 }) };
                let attack = stages(&config, 5).unwrap().remove(0).method;
                if attack.suits(5, &task.goals).is_err() {
                    assert!(matches!(kind, AttackKind::ApgdT | AttackKind::FabT), "{kind}");
                    continue;
                }
                for found in run(&attack, &model, &task) {
                    assert!(found.fallen(), "{kind} {class}");
                    assert_eq!(top(&logits(&model, &found.x)[0]), class, "{kind}");
                }
            }
        }
    }

    /// Steps that shorten are shorter, and end where they should.
    fn schedules_of_steps_differ() {
        let model = net();
        let task = task(&model, pictures(1));
        let with = |schedule| run(&Pgd { schedule, ..pgd(Norm::Linf, 0.002) }, &model, &task)[0].margin;
        let all = [StepSchedule::Constant, StepSchedule::Linear, StepSchedule::Cosine].map(with);
        assert!(all[0] != all[1] && all[1] != all[2], "{all:?}");
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
        let model = net();
        let task = task(&model, pictures(1));
        let mut stop = Stop(0);
        let query = Query::new(&model, &Device::flex(), [3, 32, 32], 1);
        let found = ready(pgd(Norm::Linf, 0.03).run(&query, &task, &mut stop)).unwrap();
        assert_eq!(stop.0, 3);
        assert_ne!(found[0].x, task.x);
    }

    /// The attack inside training stays in its ball too, and raises the loss it is for.
    fn training_attacks_raise_their_loss() {
        let model = net();
        let task = task(&model, pictures(3));
        let x: Tensor<4> = Tensor::from_data(TensorData::new(task.x.clone(), [3, 3, 32, 32]), &Device::flex());
        let labels: Vec<usize> = logits(&model, &task.x).iter().map(|z| top(z)).collect();
        let y = one_hot(&labels, 4, &Device::flex());
        let config = ObjectiveConfig { train_epsilon: Pixels(0.02), ..ObjectiveConfig::default() };
        let margins = |x: &[f32]| -> f32 {
            logits(&model, x).iter().zip(&task.goals).map(|(z, goal)| goal.margin(z)).sum()
        };
        for objective in [Objective::Pgd, Objective::Trades] {
            let mut rng = random::stream(0, Purpose::Attack, 0);
            let x_adv = values(&training::perturb(&model, &x, &y, objective, &config, &mut rng));
            let largest = Norm::Linf.distance(&x_adv, &task.x);
            assert!(largest <= 0.02 + f32::EPSILON && largest > 0.019);
            assert!(margins(&x_adv) < margins(&task.x));
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
        let task = Task { x: vec![0.52; N], goals: vec![Goal::Avoid(1)], ids: vec![0] };
        let survives = |epsilon| !run(&Pgd { steps: 12, ..pgd(Norm::Linf, epsilon) }, &Brightness, &task)[0].fallen();
        assert!(survives(0.019) && !survives(0.021));
    }
}

/// For each picture what the margin of its class over the other changes by, pixel by pixel; two classes.
fn differences(model: &Linear, task: &Task) -> Vec<f32> {
    let w = values(&model.weight);
    let sign = |goal: &Goal| if *goal == Goal::Avoid(0) { 1.0 } else { -1.0 };
    task.goals.iter().flat_map(|goal| w.chunks(2).map(move |w| sign(goal) * (w[0] - w[1]))).collect()
}
