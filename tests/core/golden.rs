//! Comparison of parts of AutoAttack with the official implementation on the same inputs. `../autoattack/golden.py` wrote
//! the fixture.

use std::cell::RefCell;

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    attack::{
        AttackBatch, AttackOutcome, Goal, Loss, ModelOracle, Norm, ThreatModel,
        apgd::{Run, Start},
        boundary::project_onto_hyperplane,
        square::{Shift, Square, Window, bump, shrunk},
    },
    checkpoint::Checkpoint,
    model::{
        Classifier,
        parameter::{Array, Arrays},
    },
};

use crate::{ready, tests, values};

fn golden() -> Arrays {
    Checkpoint::from_bytes(include_bytes!("../fixtures/autoattack.safetensors")).unwrap().arrays
}

fn rows(array: &Array) -> impl Iterator<Item = &[f32]> {
    array.values.chunks(*array.shape.last().unwrap())
}

fn numbers(array: &Array) -> Vec<usize> {
    array.values.iter().map(|v| *v as usize).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    Norm::Linf.distance(a, b)
}

fn near(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    let difference = largest_difference(a, b);
    assert!(difference <= tolerance, "{what}: {difference}");
}

const NORMS: [Norm; 3] = [Norm::Linf, Norm::L2, Norm::L1];

/// The network of golden.py, z = V tanh(U x) + c. It records the images that it is evaluated on.
struct Net {
    u: Tensor<2>,
    v: Tensor<2>,
    c: Tensor<2>,
    asked: RefCell<Vec<f32>>,
}

impl Classifier for Net {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.asked.borrow_mut().extend(values(&x));
        let b = x.dims()[0] as i32;
        x.reshape([b, -1]).matmul(self.u.clone()).tanh().matmul(self.v.clone()) + self.c.clone()
    }
}

tests! {
    fn the_l1_ball_is_the_official_one() {
        let golden = golden();
        for (i, &epsilon) in golden["ball.epsilon"].values.iter().enumerate() {
            let threat = ThreatModel { norm: Norm::L1, epsilon };
            let pairs = rows(&golden["ball.x"]).zip(rows(&golden["ball.y"]));
            let ours: Vec<f32> = pairs.flat_map(|(x, y)| threat.perturb(x, y)).collect();
            near(&ours, &golden[&format!("ball.{i}")].values, 2e-6, &format!("epsilon {epsilon}"));
        }
    }

    /// FAB's projections onto a hyperplane, both reachable and out of reach.
    fn the_ways_to_hyperplanes_are_the_official_ones() {
        let golden = golden();
        for norm in NORMS {
            let official = &golden[&format!("plane.{norm}")];
            let planes = rows(&golden["plane.t"]).zip(rows(&golden["plane.w"])).zip(&golden["plane.c"].values);
            for (((t, w), &c), official) in planes.zip(rows(official)) {
                near(&project_onto_hyperplane(norm, t, w, f64::from(c)), official, 2e-5, &format!("{norm} {c}"));
            }
        }
    }

    fn losses_are_the_official_ones() {
        let golden = golden();
        let (y, target) = (numbers(&golden["loss.y"]), numbers(&golden["loss.target"]));
        for (i, z) in rows(&golden["loss.z"]).enumerate() {
            for (name, loss) in
                [("ce", Loss::CrossEntropy), ("dlr", Loss::Dlr), ("dlr-towards", Loss::DlrTowards(target[i]))]
            {
                let mut dz = vec![0.0; z.len()];
                let value = loss.value_and_grad(Goal::Untargeted(y[i]), z, &mut dz);
                near(&[value as f32], &[golden[&format!("loss.{name}")].values[i]], 1e-5, name);
                let official = rows(&golden[&format!("loss.{name}.gradient")]).nth(i).unwrap();
                near(&dz, official, 1e-5, name);
            }
        }
    }

    fn squares_are_the_official_ones() {
        let golden = golden();
        for (at, share) in numbers(&golden["square.at"]).into_iter().zip(&golden["square.share"].values) {
            assert_eq!(0.8 * shrunk(at) as f32, *share, "{at}");
        }
        for norm in [Norm::L2, Norm::L1] {
            for side in [3, 5, 6, 9, 14] {
                let official = &golden[&format!("square.{norm}.bump{side}")].values;
                near(&bump(norm, side), official, 1e-6, &format!("{norm} {side}"));
            }
        }
    }

    /// A proposal of Square, with the same random numbers.
    fn proposals_are_the_official_ones() {
        let golden = golden();
        for norm in [Norm::L2, Norm::L1] {
            for case in 0..3 {
                let of = |name: &str| golden[&format!("square.{norm}.{case}.{name}")].values.clone();
                let bump = of("bump");
                let places: Vec<usize> = of("places").into_iter().map(|v| v as usize).collect();
                let window = |place: &[usize]| {
                    Window { top: place[0], left: place[1], side: bump.len().isqrt(), shape: [3, 10, 10] }
                };
                let shift = Shift { to: window(&places[..2]), from: window(&places[2..]), signs: of("signs"), bump: bump.clone() };
                let threat = ThreatModel { norm, epsilon: of("epsilon")[0] };
                let square = Square { threat, queries: 1, restarts: 1, share: 0.8, seed: 0 };
                let ours = square.shifted(&of("x"), &of("start"), &shift);
                assert!(largest_difference(&ours, &of("start")) > 1e-3, "nothing was proposed");
                near(&ours, &of("proposal"), 1e-5, &format!("{norm} {case}"));
            }
        }
    }

    /// Complete runs of APGD from the same starting points: steps, momentum, checkpoints, halvings, and sparsity in L1.
    fn climbs_are_the_official_ones() {
        let golden = golden();
        for (name, norm, loss) in [
            ("linf", Norm::Linf, Loss::CrossEntropy),
            ("l2", Norm::L2, Loss::CrossEntropy),
            ("l2-dlr", Norm::L2, Loss::Dlr),
            ("l1", Norm::L1, Loss::CrossEntropy),
            ("l1-sparse", Norm::L1, Loss::CrossEntropy),
        ] {
            let of = |part: &str| &golden[&format!("climb.{name}.{part}")];
            let matrix = |part: &str| {
                let Array { shape, values } = of(part);
                Tensor::from_data(TensorData::new(values.clone(), [shape[0], shape[1]]), &Device::flex())
            };
            let points = of("points");
            let [asked, n, d] = points.shape[..] else { panic!("{:?}", points.shape) };
            // Replacing the cross-entropy by log-odds must not change the trajectory, because only the gradient's direction matters.
            for loss in [loss, loss.unsaturated()] {
                let net = Net { u: matrix("u"), v: matrix("v"), c: matrix("c"), asked: RefCell::default() };
                let query = ModelOracle::new(&net, &Device::flex(), [3, 6, 6], n);
                let goals = numbers(of("y")).into_iter().map(Goal::Untargeted).collect();
                let task = AttackBatch { images: of("x").values.clone(), goals, image_ids: vec![0; n] };
                let start = |i: usize| Start { i, loss, x: points.values[i * d..][..d].to_vec() };
                let found = |i| AttackOutcome { x: task.image(i).to_vec(), margin: 1e9, distance: None };
                let mut found: Vec<AttackOutcome> = (0..n).map(found).collect();
                let run = Run {
                    query: &query,
                    task: &task,
                    threat: ThreatModel { norm, epsilon: of("epsilon").values[0] },
                    iterations: asked - 1,
                    eot_samples: 1,
                    sparse: name == "l1-sparse",
                    last: true,
                    done: 0,
                    total: asked - 1,
                };
                ready(run.run_from((0..n).map(start).collect(), &mut found, &mut ())).unwrap();
                let ours = net.asked.take();
                for (step, (ours, official)) in ours.chunks(n * d).zip(points.values.chunks(n * d)).enumerate() {
                    near(ours, official, 2e-4, &format!("{name} {loss:?} step {step}"));
                }
                assert_eq!(ours.len(), points.values.len(), "{name}: images fell on the way");
            }
        }
    }
}
