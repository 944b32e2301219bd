//! Attacks on models with a known worst case, compared with the closed-form solution, and components compared with the
//! values published in the papers.

use burn::tensor::Tensor;
use otjr::{
    attack::{
        AttackBatch, AttackConfig, AttackKind, Goal, Loss, Norm, ThreatModel, any::build_attacks, apgd::checkpoints,
        autoattack, boundary::project_onto_hyperplane, pgd::Pgd, square::shrunk,
    },
    model::Classifier,
    prediction::top,
};

use crate::{
    attack::{logits, pgd, run, task},
    invariants::{attack, pixels, short, single},
    tests, uniform, values,
};

const N: usize = 3072;

/// z = W x + b over all pixels. The worst case within a ball is known.
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

fn gray(n: usize) -> Vec<f32> {
    values(&uniform(43, [n * N], 0.4, 0.6))
}

/// Gradient of each image's margin with respect to its pixels, for two classes.
fn differences(model: &Linear, task: &AttackBatch) -> Vec<f32> {
    let w = values(&model.weight);
    let sign = |goal: &Goal| if *goal == Goal::Untargeted(0) { 1.0 } else { -1.0 };
    task.goals.iter().flat_map(|goal| w.chunks(2).map(move |w| sign(goal) * (w[0] - w[1]))).collect()
}

tests! {
    /// On a linear model with two classes an attack reduces the margin by epsilon times the dual norm of w, in one step or in
    /// many.
    fn linear_models_fall_as_far_as_they_can() {
        let model = Linear::new(2);
        let task = task(&model, gray(2));
        let w = differences(&model, &task);
        for (norm, epsilon) in [(Norm::Linf, 0.02f32), (Norm::L2, 0.4)] {
            let threat = ThreatModel { norm, epsilon };
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
                    let expected = epsilon * dual.norm(w.iter().copied());
                    assert!((fall / expected - 1.0).abs() < 0.01, "{norm}: {fall} of {expected}");
                }
            }
            // APGD stops at success. With a smaller epsilon it reaches the bound without success.
            let small = short(AttackKind::ApgdCe, norm, epsilon / 100.0);
            let found = run(&apgd(small), &model, &task);
            for ((found, before), w) in found.iter().zip(&before).zip(w.chunks(N)) {
                let dual = if norm == Norm::Linf { Norm::L1 } else { Norm::L2 };
                let expected = epsilon / 100.0 * dual.norm(w.iter().copied());
                let fall = before.margin - found.margin;
                assert!(found.succeeded() || (fall / expected - 1.0).abs() < 0.01, "{norm}: {fall} of {expected}");
            }
        }
    }

    /// DeepFool and FAB find the exact distance to the boundary of a linear model. Carlini and Wagner's attack comes close.
    fn boundary_attacks_find_the_smallest_perturbation() {
        let model = Linear::new(2);
        let task = task(&model, gray(2));
        let margins: Vec<f32> = logits(&model, &task.images).iter().zip(&task.goals).map(|(z, g)| g.margin(z)).collect();
        let w = differences(&model, &task);
        for (norm, dual) in [(Norm::Linf, Norm::L1), (Norm::L2, Norm::L2), (Norm::L1, Norm::Linf)] {
            for kind in [AttackKind::Deepfool, AttackKind::Fab, AttackKind::FabT, AttackKind::Cw] {
                if kind == AttackKind::Cw && norm != Norm::L2 {
                    continue;
                }
                // With epsilon 0 no attack succeeds, so the search for the smallest perturbation continues.
                let steps = if kind == AttackKind::Cw { 100 } else { 20 };
                let config = AttackConfig { steps, ..short(kind, norm, 0.0) };
                let attack = build_attacks(&config, 2).unwrap().remove(0).attack;
                let found = run(&attack, &model, &task);
                for ((found, margin), w) in found.iter().zip(&margins).zip(w.chunks(N)) {
                    let exact = if norm == Norm::L1 {
                        norm.norm(project_onto_hyperplane(norm, &task.images[..N], w, f64::from(*margin)).into_iter())
                    } else {
                        margin / dual.norm(w.iter().copied())
                    };
                    let distance = found.distance.unwrap();
                    let slack = match kind {
                        AttackKind::Cw => 1.1,
                        AttackKind::Deepfool => 1.025,
                        _ if norm == Norm::L1 => 1.06,
                        _ => 1.01,
                    };
                    assert!(distance > 0.99 * exact, "{kind} {norm}: {distance}, exact {exact}");
                    assert!(distance < slack * exact, "{kind} {norm}: {distance}, exact {exact}");
                }
            }
        }
    }

    /// The projection onto a hyperplane within the box [0, 1] is the smallest perturbation: all pixels that are not clipped
    /// satisfy the norm's optimality condition.
    fn the_way_to_a_hyperplane_is_the_shortest() {
        let t = pixels(N);
        let w = values(&uniform(51, [N], -1.0, 1.0));
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            for c in [-300.0, -2.0, 0.0, 1e-4, 5.0, 200.0] {
                let d = project_onto_hyperplane(norm, &t, &w, c);
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
            // If the hyperplane is out of reach, the result is the corner of the box that is closest to it.
            let d = project_onto_hyperplane(norm, &t, &w, 1e9);
            assert!(t.iter().zip(&d).zip(&w).all(|((t, d), w)| (t + d - if *w > 0.0 { 1.0 } else { 0.0 }).abs() < 1e-6));
        }
    }

    /// The L1 projection is the nearest point of ball and box.
    fn the_l1_projection_is_the_nearest_point() {
        let x = gray(1);
        let far: Vec<f32> = x.iter().zip(values(&uniform(44, [N], -0.8, 0.8))).map(|(x, d)| x + d).collect();
        let mut near = far.clone();
        ThreatModel { norm: Norm::L1, epsilon: 200.0 }.project(&mut near, &x);
        // Optimality: all coordinates that are neither clipped nor reset to the original were reduced by the same lambda.
        let inside = |i: &usize| near[*i] != x[*i] && near[*i] > 0.0 && near[*i] < 1.0;
        let taken: Vec<f32> = (0..N).filter(inside).map(|i| (far[i] - near[i]).abs()).collect();
        let (least, most) = taken.iter().fold((f32::MAX, 0f32), |(a, b), &v| (a.min(v), b.max(v)));
        assert!(taken.len() > 100, "{} {least} {most}", taken.len());
        assert!(most - least < 1e-4, "{} {least} {most}", taken.len());
        for i in 0..N {
            let d = (far[i] - x[i]).abs();
            assert!(near[i] != x[i] || d <= most + 1e-4, "pixel {i} was left at the image though it had {d}");
        }
    }

    /// The gradients of the losses are correct, and DLR is invariant to scale.
    fn losses_match_their_differences() {
        let z = [1.5f32, -0.3, 2.2, 0.7, -1.1];
        for loss in [Loss::CrossEntropy, Loss::LogOdds, Loss::Margin, Loss::Dlr, Loss::DlrTowards(3)] {
            for goal in [Goal::Untargeted(0), Goal::Untargeted(2), Goal::Targeted(1)] {
                let value = |z: &[f32]| loss.value_and_grad(goal, z, &mut [0.0; 5]);
                let mut dz = [0f32; 5];
                loss.value_and_grad(goal, &z, &mut dz);
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
        // Expected values: -(z_y - max z_j) / (z_1 - z_3) and (z_t - z_y) / (z_1 - (z_3 + z_4) / 2).
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        near(Loss::Dlr.value_and_grad(Goal::Untargeted(2), &z, &mut [0.0; 5]), -(2.2 - 1.5) / (2.2 - 0.7));
        near(Loss::DlrTowards(1).value_and_grad(Goal::Untargeted(2), &z, &mut [0.0; 5]), (-0.3 - 2.2) / (2.2 - (0.7 - 0.3) / 2.0));
        // A confident model: in float32 the probability would round to 1 and the gradient to 0.
        let mut dz = [0f32; 3];
        let value = Loss::CrossEntropy.value_and_grad(Goal::Untargeted(0), &[40.0, 0.0, 1.0], &mut dz);
        assert!(value > 0.0, "{value} {dz:?}");
        assert!(dz[0] < 0.0, "{value} {dz:?}");
        assert!(dz[2] > dz[1], "{value} {dz:?}");
        assert!(dz[1] > 0.0, "{value} {dz:?}");
    }

    /// Attacks on the cross-entropy work on very confident models. With two classes the gradient has only one direction.
    fn sure_models_are_attacked_all_the_same() {
        struct Sure(Linear);
        impl Classifier for Sure {
            fn logits(&self, x: Tensor<4>) -> Tensor<2> {
                self.0.logits(x).mul_scalar(1e4)
            }
        }
        let model = Sure(Linear::new(2));
        let task = task(&model, gray(2));
        let before: Vec<f32> = logits(&model, &task.images).iter().zip(&task.goals).map(|(z, goal)| goal.margin(z)).collect();
        assert!(before.iter().all(|margin| *margin > 100.0), "not sure: {before:?}");
        for (norm, epsilon) in [(Norm::Linf, 1e-3), (Norm::L2, 0.01), (Norm::L1, 1.0)] {
            let attack = Pgd { random_start: false, ..pgd(norm, epsilon) };
            let found = run(&attack, &model, &task);
            assert_eq!(found, run(&Pgd { loss: Loss::Margin, ..attack }, &model, &task), "{norm}");
            assert!(found.iter().zip(&before).all(|(found, before)| found.margin < *before), "{norm}");
        }
        for kind in [AttackKind::ApgdCe, AttackKind::Simba] {
            let found = run(&build_attacks(&short(kind, Norm::Linf, 1e-3), 2).unwrap()[0].attack, &model, &task);
            assert!(found.iter().zip(&before).all(|(found, before)| found.margin < *before), "{kind}");
        }
    }

    fn a_target_is_reached_and_only_it() {
        let model = Linear::new(5);
        let x = values(&uniform(44, [3 * N], 0.3, 0.7));
        for class in 0..3 {
            let task = AttackBatch { images: x.clone(), goals: vec![Goal::Targeted(class); 3], image_ids: vec![0, 1, 2] };
            for kind in single() {
                let norm = if kind == AttackKind::Cw { Norm::L2 } else { Norm::Linf };
                let config = AttackConfig { queries: 6000, steps: 60, ..short(kind, norm, if norm == Norm::L2 { 20.0 } else { 0.2 }) };
                let attack = build_attacks(&config, 5).unwrap().remove(0).attack;
                if attack.check_supported(5, &task.goals).is_err() {
                    assert!(matches!(kind, AttackKind::ApgdT | AttackKind::FabT), "{kind}");
                    continue;
                }
                for found in run(&attack, &model, &task) {
                    assert!(found.succeeded(), "{kind} {class}");
                    assert_eq!(top(&logits(&model, &found.x)[0]), class, "{kind}");
                }
            }
        }
    }

    /// The checkpoints of Auto-PGD and the schedule of Square equal the published ones.
    fn schedules_are_the_published_ones() {
        assert_eq!(checkpoints(Norm::Linf, 100), [22, 41, 57, 70, 80, 87, 93, 99]);
        assert_eq!(checkpoints(Norm::L1, 100)[..3], [4, 8, 12]);
        assert_eq!(checkpoints(Norm::L2, 3), [1, 2, 3]);
        let halvings = [(10, 0), (11, 1), (50, 1), (51, 2), (500, 3), (1001, 5), (4999, 7)];
        for (at, n) in halvings {
            assert_eq!(shrunk(at), 0.5f64.powi(n), "{at}");
        }
    }

    /// The attacks in each version of AutoAttack, also if there are too few classes for some of them.
    fn autoattack_has_its_published_parts() {
        let threat = ThreatModel { norm: Norm::Linf, epsilon: 0.1 };
        let names = |kind, classes| -> Vec<&str> {
            autoattack::attacks(kind, threat, classes, 0).iter().map(|stage| stage.name).collect()
        };
        assert_eq!(names(AttackKind::Autoattack, 10), ["apgd-ce", "apgd-t", "fab-t", "square"]);
        assert_eq!(names(AttackKind::AutoattackPlus, 10), ["apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"]);
        assert_eq!(names(AttackKind::AutoattackRand, 10), ["apgd-ce", "apgd-dlr"]);
        assert_eq!(names(AttackKind::Autoattack, 3), ["apgd-ce", "fab-t", "square"]);
        assert_eq!(names(AttackKind::AutoattackRand, 2), ["apgd-ce"]);
        let flags = autoattack::left_out(AttackKind::Autoattack, 3);
        assert!(flags.len() == 1, "{flags:?}");
        assert!(flags[0].to_string().contains("apgd-t"), "{flags:?}");
        assert_eq!(autoattack::left_out(AttackKind::Autoattack, 10), []);
    }
}
