//! Invariants of every attack in every norm, for any backend. `attack.rs` checks them on the CPU, `gpu.rs` on wgpu.

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

/// Number of classes of the attacked models.
pub const CLASSES: usize = 4;

pub const BALLS: [(Norm, f32); 5] =
    [(Norm::Linf, 8.0 / 255.0), (Norm::Linf, 0.3), (Norm::L2, 0.5), (Norm::L1, 12.0), (Norm::L1, 400.0)];

/// Balls so small that no attack succeeds.
const TIGHT: [(Norm, f32); 3] = [(Norm::Linf, 2e-3), (Norm::L2, 0.05), (Norm::L1, 1.0)];

/// Every single attack in every norm that it supports, with each ball of that norm.
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

/// Values in [0, 1], with many at 0 and 1, where clipping has an effect.
pub fn pixels(n: usize) -> Vec<f32> {
    let drawn = random::uniform(&mut random::stream(31, StreamId::Directions, 99), n, -0.3, 1.3);
    drawn.into_iter().map(|v| v.clamp(0.0, 1.0)).collect()
}

/// A model that returns NaN.
struct Broken;

impl Classifier for Broken {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        let b = x.dims()[0] as i32;
        x.reshape([b, -1]).narrow(1, 0, CLASSES).mul_scalar(f32::NAN)
    }
}

/// A model with four classes on a device.
pub struct Subject<'a, M> {
    pub model: &'a M,
    pub device: Device,
    /// Shape of an image.
    pub shape: [usize; 3],
}

impl<M: Classifier> Subject<'_, M> {
    /// Untargeted goals with the model's own predictions as labels, so that no image counts as misclassified beforehand.
    pub async fn task(&self, n: usize) -> AttackBatch {
        let x = pixels(n * self.shape.iter().product::<usize>());
        let logits = self.query().logits(&x).await.unwrap();
        let goals = logits.rows().map(|z| Goal::Untargeted(top(z))).collect();
        AttackBatch { images: x, goals, image_ids: (0..n as u64).collect() }
    }

    /// The batch size is 2. Results must not depend on it.
    fn query(&self) -> ModelOracle<'_, M> {
        ModelOracle::new(self.model, &self.device, self.shape, 2)
    }

    async fn run(&self, config: &AttackConfig, task: &AttackBatch) -> Vec<AttackOutcome> {
        attack(config).run(&self.query(), task, &mut ()).await.unwrap()
    }

    /// Results are exactly within the ball and [0, 1] in float32 arithmetic, and the reported margin and distance are correct.
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
            // FAB with restarts is left out, because boundary attacks converge to the same point from any start. In L2 and L1
            // attacks on a nearly linear model end at the same point, too.
            if norm == Norm::Linf && restarts == 1 {
                differ += usize::from(once != with(2).await);
            }
        }
        assert!(differ > 0, "the seed decides nothing");
    }

    /// More steps, queries, restarts or targets keep every success, and increase neither margins nor the distances of
    /// adversarial images.
    pub async fn more_is_never_weaker(&self) {
        use AttackKind::*;
        let task = self.task(4).await;
        let (mut fell, mut stood) = (0, 0);
        for (kind, norm, epsilon) in cases(&BALLS) {
            let few = short(kind, norm, epsilon);
            // APGD's schedule depends on the number of steps, and CW spends the steps on each c. Their longer runs do not extend
            // the shorter ones.
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
        assert!(fell > 0, "the balls test nothing: {fell} {stood}");
        assert!(stood > 0, "the balls test nothing: {fell} {stood}");
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

    /// A model that returns NaN causes an error and is not reported as robust.
    pub async fn outputs_that_are_no_numbers_are_refused(&self) {
        let query = ModelOracle::new(&Broken, &self.device, self.shape, 2);
        let task = self.task(1).await;
        for (kind, norm, epsilon) in cases(&TIGHT) {
            let refused = attack(&short(kind, norm, epsilon)).run(&query, &task, &mut ()).await;
            assert_eq!(refused, Err(Error::NotFinite), "{kind} {norm}");
        }
    }
}

/// Attacks do not change the model. A model has no training mode, because each pass is given its mode. Only tensors that
/// clones share could change, in particular the running statistics.
pub async fn the_model_is_as_before(subject: &Subject<'_, Model>, cases: &[(AttackKind, Norm)]) {
    let Subject { model, device, shape: [c, h, w] } = subject;
    let task = subject.task(1).await;
    let x: Tensor<4> = Tensor::from_data(TensorData::new(task.images.clone(), [1, *c, *h, *w]), device);
    let logits =
        async || model.forward(x.clone(), &mut Pass::inference()).logits.value.into_data_async().await.unwrap();
    let before = (model.arrays().await.unwrap(), logits().await);
    // A pass in training mode does not change the model either: it returns the new statistics.
    model.forward(x.clone(), &mut Pass::training());
    for &(kind, norm) in cases {
        subject.run(&AttackConfig { steps: 2, queries: 2, ..short(kind, norm, 0.03) }, &task).await;
    }
    assert_eq!((model.arrays().await.unwrap(), logits().await), before);
}
