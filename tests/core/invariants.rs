//! What every attack must keep, in every norm, on every backend: `attack.rs` runs this on the CPU, `gpu.rs` on wgpu.

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    attack::{
        Attack, AttackBatch, AttackConfig, AttackKind, AttackOutcome, Error, Goal, ModelOracle, Norm,
        any::build_attacks,
    },
    model::{Classifier, Model, Pass},
    prediction::top,
    random::{self, StreamId},
    settings::Pixels,
};

/// Of the models that are attacked.
pub const CLASSES: usize = 4;

pub const BALLS: [(Norm, f32); 5] =
    [(Norm::Linf, 8.0 / 255.0), (Norm::Linf, 0.3), (Norm::L2, 0.5), (Norm::L1, 12.0), (Norm::L1, 400.0)];

/// Balls so small that nothing falls.
const TIGHT: [(Norm, f32); 3] = [(Norm::Linf, 2e-3), (Norm::L2, 0.05), (Norm::L1, 1.0)];

/// Every single attack in every norm that it knows, with each of the norm's balls.
fn cases(balls: &[(Norm, f32)]) -> impl Iterator<Item = (AttackKind, Norm, f32)> {
    let knows = |kind: AttackKind, norm| kind != AttackKind::Cw || norm == Norm::L2;
    single().flat_map(move |kind| balls.iter().filter(move |b| knows(kind, b.0)).map(move |&(n, e)| (kind, n, e)))
}

pub fn single() -> impl Iterator<Item = AttackKind> {
    AttackKind::ALL.iter().copied().filter(|kind| !kind.is_suite())
}

/// An attack with few steps.
pub fn short(kind: AttackKind, norm: Norm, epsilon: f32) -> AttackConfig {
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

pub fn attack(config: &AttackConfig) -> impl Attack + use<> {
    build_attacks(config, CLASSES).unwrap().remove(0).attack
}

/// Values in [0,1], many at 0 and 1, where clipping bites.
pub fn pixels(n: usize) -> Vec<f32> {
    let drawn = random::uniform(&mut random::stream(31, StreamId::Directions, 99), n, -0.3, 1.3);
    drawn.into_iter().map(|v| v.clamp(0.0, 1.0)).collect()
}

/// A model whose output is not a number.
struct Broken;

impl Classifier for Broken {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        let b = x.dims()[0] as i32;
        x.reshape([b, -1]).narrow(1, 0, CLASSES).mul_scalar(f32::NAN)
    }
}

/// A model of four classes on a backend.
pub struct Subject<'a, M> {
    pub model: &'a M,
    pub device: Device,
    /// Of an image.
    pub shape: [usize; 3],
}

impl<M: Classifier> Subject<'_, M> {
    /// Images whose predictions are to be avoided, so that each has to be attacked.
    pub async fn task(&self, n: usize) -> AttackBatch {
        let x = pixels(n * self.shape.iter().product::<usize>());
        let logits = self.query().logits(&x).await.unwrap();
        let goals = logits.rows().map(|z| Goal::Untargeted(top(z))).collect();
        AttackBatch { images: x, goals, image_ids: (0..n as u64).collect() }
    }

    /// In batches of two: what an attack finds must not depend on them.
    fn query(&self) -> ModelOracle<'_, M> {
        ModelOracle::new(self.model, &self.device, self.shape, 2)
    }

    async fn run(&self, config: &AttackConfig, task: &AttackBatch) -> Vec<AttackOutcome> {
        attack(config).run(&self.query(), task, &mut ()).await.unwrap()
    }

    /// Ball and [0,1] hold exactly, as float32 computes the difference, and what is said of the result is true.
    pub async fn results_stay_in_ball_and_range(&self) {
        let task = self.task(2).await;
        for (kind, norm, epsilon) in cases(&BALLS) {
            let found = self.run(&short(kind, norm, epsilon), &task).await;
            let x: Vec<f32> = found.iter().flat_map(|f| &f.x).copied().collect();
            let logits = self.query().logits(&x).await.unwrap();
            for (i, found) in found.iter().enumerate() {
                assert!(found.x.iter().all(|v| (0.0..=1.0).contains(v)), "{kind} {norm} {epsilon}");
                let size = norm.distance(&found.x, task.image(i));
                assert!(size <= epsilon, "{kind} {norm}: {size} > {epsilon}");
                let margin = task.goals[i].margin(logits.row(i));
                assert!((margin - found.margin).abs() < 1e-4, "{kind} {norm}: {margin} {}", found.margin);
                assert!(found.distance.is_none_or(|d| !found.succeeded() || d <= epsilon), "{kind} {norm}");
            }
        }
    }

    pub async fn epsilon_zero_is_the_identity(&self) {
        let task = self.task(2).await;
        for (kind, norm, _) in cases(&TIGHT) {
            let config = AttackConfig { step: Pixels(0.1), steps: 2, queries: 2, ..short(kind, norm, 0.0) };
            let x: Vec<f32> = self.run(&config, &task).await.into_iter().flat_map(|f| f.x).collect();
            assert_eq!(x, task.images, "{kind} {norm}");
        }
    }

    pub async fn equal_seeds_give_equal_images(&self) {
        let task = self.task(2).await;
        let mut differ = 0;
        for (kind, norm, epsilon) in cases(&TIGHT).filter(|(kind, ..)| kind.uses("seed")) {
            let restarts = if matches!(kind, AttackKind::Fab | AttackKind::FabT) { 2 } else { 1 };
            let with =
                async |seed| self.run(&AttackConfig { seed, restarts, ..short(kind, norm, epsilon) }, &task).await;
            let once = with(1).await;
            assert_eq!(once, with(1).await, "{kind} {norm}");
            // Boundary attacks forget where they began, and on a nearly linear model all that climb end in one corner.
            if norm == Norm::Linf && restarts == 1 {
                differ += usize::from(once != with(2).await);
            }
        }
        assert!(differ > 0, "the seed decides nothing");
    }

    /// With more steps, queries, restarts or targets all that fell falls, margins are no larger, perturbations no longer.
    pub async fn more_is_never_weaker(&self) {
        use AttackKind::*;
        let task = self.task(4).await;
        let (mut fell, mut stood) = (0, 0);
        for (kind, norm, epsilon) in cases(&BALLS) {
            let few = short(kind, norm, epsilon);
            // APGD's schedule depends on the number of steps, and each c of cw gets more of them: those do not nest.
            let longer = matches!(kind, Pgd | Bim | MiFgsm | Fab | FabT | Deepfool | Square | Simba);
            let mut more = Vec::new();
            if longer {
                more.push(AttackConfig { steps: 2 * few.steps, queries: 2 * few.queries, ..few.clone() });
            }
            if kind.uses("restarts") {
                more.push(AttackConfig { restarts: 3, ..few.clone() });
            }
            if kind.uses("targets") {
                more.push(AttackConfig { targets: CLASSES - 1, ..few.clone() });
            }
            let few = self.run(&few, &task).await;
            for more in more {
                for (few, more) in few.iter().zip(self.run(&more, &task).await) {
                    let (fallen, margin) = (few.succeeded(), few.margin + 1e-4);
                    assert!(more.succeeded() || !fallen, "{kind} {norm}");
                    assert!(fallen || more.margin <= margin, "{kind} {norm}: {} {margin}", more.margin);
                    let nearer = |d: f32| more.distance.is_some_and(|more| more <= 1.001 * d);
                    assert!(few.distance.is_none_or(nearer), "{kind} {norm}: {:?} {:?}", few.distance, more.distance);
                    fell += usize::from(more.succeeded());
                    stood += usize::from(!fallen);
                }
            }
        }
        assert!(fell > 0 && stood > 0, "the balls test nothing: {fell} {stood}");
    }

    pub async fn images_already_wrong_are_not_touched(&self) {
        let mut task = self.task(2).await;
        for goal in &mut task.goals {
            let Goal::Untargeted(y) = *goal else { unreachable!() };
            *goal = Goal::Untargeted((y + 1) % CLASSES);
        }
        for (kind, norm, epsilon) in cases(&BALLS) {
            let found = self.run(&short(kind, norm, epsilon), &task).await;
            assert_eq!(found.iter().flat_map(|f| f.x.clone()).collect::<Vec<_>>(), task.images, "{kind} {norm}");
            assert!(found.iter().all(|f| f.succeeded() && f.distance == Some(0.0)), "{kind} {norm}");
        }
    }

    /// A model whose output is not a number is refused, not called robust.
    pub async fn outputs_that_are_no_numbers_are_refused(&self) {
        let query = ModelOracle::new(&Broken, &self.device, self.shape, 2);
        let task = self.task(1).await;
        for (kind, norm, epsilon) in cases(&TIGHT) {
            let refused = attack(&short(kind, norm, epsilon)).run(&query, &task, &mut ()).await;
            assert_eq!(refused, Err(Error::NotFinite), "{kind} {norm}");
        }
    }
}

/// Attacks leave no trace in a model. It has no mode to restore, since each pass is told its own, and an attack only holds
/// it by shared reference; so what could change are tensors shared between clones, running statistics above all.
pub async fn the_model_is_as_before(subject: &Subject<'_, Model>, cases: &[(AttackKind, Norm)]) {
    let Subject { model, device, shape: [c, h, w] } = subject;
    let task = subject.task(1).await;
    let x: Tensor<4> = Tensor::from_data(TensorData::new(task.images.clone(), [1, *c, *h, *w]), device);
    let logits =
        async || model.forward(x.clone(), &mut Pass::inference()).logits.value.into_data_async().await.unwrap();
    let before = (model.arrays().await.unwrap(), logits().await);
    // Nor does a pass in training mode: its statistics go to whoever asked for it.
    model.forward(x.clone(), &mut Pass::training());
    for &(kind, norm) in cases {
        subject.run(&AttackConfig { steps: 2, queries: 2, ..short(kind, norm, 0.03) }, &task).await;
    }
    assert_eq!((model.arrays().await.unwrap(), logits().await), before);
}
