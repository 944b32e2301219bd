//! Computes the views of the explorer: how the last attack on a model changed its representation.

use super::{
    CommandError, Session,
    models::LoadedModel,
    progress::{CancelOnly, JobReporter, Point},
    softmax,
};
use crate::{
    attack::{
        Attack, AttackBatch, AttackConfig, AttackKind, Error, Goal, Logits, ModelOracle, Norm, any::build_attacks,
    },
    data::{IMAGE_SIZE, ImageSet, synthetic, to_unit_range},
    explore::{
        embedding::Embedding,
        jacobian,
        landscape::{LandscapePlane, LandscapeValues},
        layers,
        margin_curve::{MarginPoint, attack_at_radius},
        probe::{AttackStep, JacobianResponses, LandscapeGrid, LatentPath, Probe, ProbeResult},
        transport::{self, TransportPlan},
    },
    model::Model,
    prediction::top,
    protocol::{ErrorScope, Event, Slot},
    settings::Pixels,
};

/// Number of reference images of the embedding.
const EMBEDDING_IMAGES: usize = 200;
/// Cells per side of the embedding's class map.
const MAP_CELLS: usize = 48;
/// Batch size for transport and Jacobian: the user's image and reference images.
const BATCH: usize = 32;
/// Number of projections of the batch's transport.
const PROJECTIONS: usize = 32;
/// Number of channels shown per layer.
const CHANNELS: usize = 8;
/// Grid points per side of the loss landscape.
const GRID_POINTS: usize = 25;
/// Range of the landscape's coordinates. The clean image (0) and the adversarial image (1) are grid points.
const GRID_RANGE: [f32; 2] = [-0.5, 1.5];
/// Radii of the margin curve as multiples of epsilon. The curve ends where the attack succeeds.
const RADII: [f32; 10] = [0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0];

/// The last attack on the current image.
pub struct LastAttack {
    pub config: AttackConfig,
    pub goal: Goal,
    /// The adversarial image, `[3, 32, 32]` in [0,1].
    pub x_adv: Vec<f32>,
    pub path: Vec<Point>,
}

/// Reference images and their adversarial images, `[n, 3, 32, 32]` in [0,1] each.
pub struct AdversarialPairs {
    norm: Norm,
    epsilon: f32,
    x: Vec<f32>,
    x_adv: Vec<f32>,
}

/// Reason why a probe has no result.
enum ProbeError {
    /// A later command has cancelled the probe.
    Cancelled,
    Failed(Error),
}

impl From<Error> for ProbeError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Reports partial results of a probe.
struct ProbeReporter {
    reporter: JobReporter,
    id: u64,
    slot: Slot,
    probe: Probe,
}

impl ProbeReporter {
    fn event(&self, result: Result<ProbeResult, String>, finished: bool) -> Event {
        let (id, slot, probe) = (self.id, self.slot, self.probe.clone());
        Event::ProbeProgress { id, slot, probe, result: result.map(Box::new), finished }
    }

    async fn report_partial(&mut self, result: ProbeResult) -> Result<(), ProbeError> {
        let event = self.event(Ok(result), false);
        let flow = self.reporter.report(Some(event)).await;
        if flow.is_break() { Err(ProbeError::Cancelled) } else { Ok(()) }
    }
}

impl Session {
    pub(super) async fn explore(&mut self, id: u64, slot: Slot, probe: Probe) -> Result<(), CommandError> {
        let mut reporter = ProbeReporter { reporter: JobReporter::new(id, self), id, slot, probe: probe.clone() };
        match self.run_probe(slot, &probe, &mut reporter).await {
            Ok(result) => self.emit(reporter.event(Ok(result), true)),
            Err(ProbeError::Cancelled) => self.emit(Event::ProbeCancelled { id }),
            Err(ProbeError::Failed(Error::Device(message))) => {
                return Err(CommandError::new(ErrorScope::Device, message));
            }
            Err(ProbeError::Failed(error)) => self.emit(reporter.event(Err(error.to_string()), true)),
        }
        Ok(())
    }

    async fn run_probe(
        &mut self,
        slot: Slot,
        probe: &Probe,
        reporter: &mut ProbeReporter,
    ) -> Result<ProbeResult, ProbeError> {
        let missing = || Error::Unsuited("there is no attack to explore yet".into());
        let device = self.device.clone().ok_or_else(missing)?;
        let x = self.image.as_ref().ok_or_else(missing)?.to_unit_range();
        let LoadedModel { model, info, last_attack, embedding, adversarial_pairs } =
            self.models.get_mut(&slot).ok_or_else(missing)?;
        let attack = last_attack.as_ref().ok_or_else(missing)?;
        let oracle = ModelOracle::new(model, &device, [3, IMAGE_SIZE, IMAGE_SIZE], BATCH);
        let input = ProbeInput { model, device: &device, oracle, x, attack };
        let reference_images = |count| {
            let built_in = synthetic::generate(0, 0, count).test;
            if self.reference.is_empty() || info.classes == built_in.classes {
                built_in
            } else {
                self.reference.stratified_sample(count)
            }
        };
        match probe {
            Probe::Layers => Ok(input.layers().await?),
            Probe::ChannelMaps(layer) => Ok(input.maps(layer).await?),
            Probe::Embedding => {
                if embedding.is_none() {
                    *embedding = Some(input.reference_embedding(&reference_images(EMBEDDING_IMAGES)).await?);
                }
                let reference = embedding.clone().ok_or_else(missing)?;
                Ok(input.latent_path(reference).await?)
            }
            Probe::Transport | Probe::Jacobian => {
                if !adversarial_pairs.as_ref().is_some_and(|pairs| pairs.match_attack(&attack.config)) {
                    let images = reference_images(BATCH - 1);
                    *adversarial_pairs = Some(input.adversarial_pairs(&images, &mut reporter.reporter).await?);
                }
                let pairs = adversarial_pairs.as_ref().ok_or_else(missing)?;
                let batch = input.transport(pairs).await?;
                if *probe == Probe::Transport {
                    return Ok(ProbeResult::Transport(batch.transport));
                }
                Ok(input.jacobian(&batch).await?)
            }
            Probe::Landscape => input.landscape(reporter).await,
            Probe::MarginCurve => input.margins(reporter).await,
            Probe::AttackSteps => Ok(input.attack_steps().await?),
        }
    }
}

/// The model, image and attack that a probe examines.
struct ProbeInput<'a> {
    model: &'a Model,
    device: &'a burn::tensor::Device,
    oracle: ModelOracle<'a, Model>,
    /// The clean image, `[3, 32, 32]` in [0,1].
    x: Vec<f32>,
    attack: &'a LastAttack,
}

/// A batch of clean and adversarial images, `[n, 3, 32, 32]` each, and the transport between their logits.
struct TransportedBatch {
    x: Vec<f32>,
    x_adv: Vec<f32>,
    transport: TransportPlan,
}

impl ProbeInput<'_> {
    async fn layers(&self) -> Result<ProbeResult, Error> {
        let shifts = layers::layer_shifts(self.model, self.device, &self.x, &self.attack.x_adv).await?;
        Ok(ProbeResult::Layers(shifts))
    }

    async fn maps(&self, layer: &str) -> Result<ProbeResult, Error> {
        let maps = layers::channel_maps(self.model, self.device, &self.x, &self.attack.x_adv, layer, CHANNELS).await?;
        Ok(ProbeResult::ChannelMaps(maps))
    }

    async fn reference_embedding(&self, images: &ImageSet) -> Result<Embedding, Error> {
        let (x, labels) = self.predict(images).await?;
        Embedding::new(self.model, self.device, &x, &labels, MAP_CELLS).await
    }

    async fn latent_path(&self, reference: Embedding) -> Result<ProbeResult, Error> {
        let steps: Vec<f32> = self.attack.path.iter().flat_map(|point| &point.x).copied().collect();
        let images = [&self.x[..], &steps, &self.attack.x_adv].concat();
        let path = reference.project(self.model, self.device, &images).await?;
        Ok(ProbeResult::Embedding(LatentPath { reference, path }))
    }

    /// Attacks reference images by PGD with the norm and epsilon of the last attack.
    async fn adversarial_pairs(
        &self,
        images: &ImageSet,
        reporter: &mut JobReporter,
    ) -> Result<AdversarialPairs, ProbeError> {
        let config = &self.attack.config;
        let (x, classes) = self.predict(images).await?;
        let goals = classes.iter().map(|&class| Goal::Untargeted(usize::from(class))).collect();
        let batch = AttackBatch { images: x, goals, image_ids: (0..classes.len() as u64).collect() };
        let named = build_attacks(&pgd_with_epsilon_of(config), self.model.classes)?.into_iter().next();
        let named = named.ok_or_else(|| Error::Unsuited("no attack supports this model".into()))?;
        let outcomes = named.attack.run(&self.oracle, &batch, &mut CancelOnly(reporter)).await?;
        if reporter.cancelled {
            return Err(ProbeError::Cancelled);
        }
        let x_adv = outcomes.into_iter().flat_map(|outcome| outcome.x).collect();
        Ok(AdversarialPairs { norm: config.norm, epsilon: config.epsilon.0, x: batch.images, x_adv })
    }

    /// Computes the transport of a batch that starts with the current image.
    async fn transport(&self, pairs: &AdversarialPairs) -> Result<TransportedBatch, Error> {
        let x = [&self.x[..], &pairs.x].concat();
        let x_adv = [&self.attack.x_adv[..], &pairs.x_adv].concat();
        let clean_logits = flatten(&self.oracle.logits(&x).await?);
        let adversarial_logits = flatten(&self.oracle.logits(&x_adv).await?);
        let classes = self.model.classes;
        let theta = transport::projections(self.attack.config.seed, classes, PROJECTIONS, self.device).await?;
        let transport = transport::compute_transport(&clean_logits, &adversarial_logits, &theta, classes)?;
        Ok(TransportedBatch { x, x_adv, transport })
    }

    /// Computes the response of a batch to changes of its logits along the transport and in random directions.
    async fn jacobian(&self, batch: &TransportedBatch) -> Result<ProbeResult, Error> {
        let TransportedBatch { x, x_adv, transport } = batch;
        let (images, classes) = (x.len() / self.x.len(), self.model.classes);
        let random = jacobian::random_directions(self.attack.config.seed, images, classes, self.device).await?;
        Ok(ProbeResult::Jacobian(JacobianResponses {
            transport: jacobian::response(&self.oracle, x, x_adv, &transport.direction, &[0]).await?,
            random: jacobian::response(&self.oracle, x, x_adv, &random, &[0]).await?,
        }))
    }

    async fn landscape(&self, reporter: &mut ProbeReporter) -> Result<ProbeResult, ProbeError> {
        let LastAttack { config, goal, x_adv, .. } = self.attack;
        let plane = LandscapePlane::new(&self.x, x_adv, config.norm, config.seed, *goal, GRID_RANGE, GRID_POINTS)?;
        let grid = |values| ProbeResult::Landscape(LandscapeGrid { values, side: GRID_POINTS, range: GRID_RANGE });
        let mut values = LandscapeValues::default();
        for row in 0..GRID_POINTS {
            values.extend(plane.rows(&self.oracle, row..row + 1).await?);
            if reporter.reporter.is_due() {
                reporter.report_partial(grid(values.clone())).await?;
            }
        }
        Ok(grid(values))
    }

    /// Computes the margin under attack for growing radii, until the attack succeeds.
    async fn margins(&self, reporter: &mut ProbeReporter) -> Result<ProbeResult, ProbeError> {
        let goal = self.attack.goal;
        let clean_margin = goal.margin(self.oracle.logits(&self.x).await?.row(0));
        let mut curve = vec![MarginPoint { epsilon: 0.0, margin: clean_margin }];
        let batch = AttackBatch { images: self.x.clone(), goals: vec![goal], image_ids: vec![0] };
        let config = fast_attack(&self.attack.config);
        for radius in RADII.map(|times| times * config.epsilon.0) {
            if curve.last().is_some_and(|last| last.margin <= 0.0) {
                break;
            }
            let mut observer = CancelOnly(&mut reporter.reporter);
            let outcomes =
                attack_at_radius(radius, &config, self.model.classes, &self.oracle, &batch, &mut observer).await?;
            if reporter.reporter.cancelled {
                return Err(ProbeError::Cancelled);
            }
            curve.extend(outcomes.iter().map(|outcome| MarginPoint { epsilon: radius, margin: outcome.margin }));
            reporter.report_partial(ProbeResult::MarginCurve(curve.clone())).await?;
        }
        Ok(ProbeResult::MarginCurve(curve))
    }

    /// Returns the recorded steps of the attack, starting with the clean image.
    async fn attack_steps(&self) -> Result<ProbeResult, Error> {
        let clean = Point { attack: String::new(), step: 0, x: self.x.clone() };
        let points: Vec<&Point> = [&clean].into_iter().chain(&self.attack.path).collect();
        let images: Vec<f32> = points.iter().flat_map(|point| &point.x).copied().collect();
        let logits = self.oracle.logits(&images).await?;
        let steps = points.into_iter().zip(logits.rows()).map(|(point, logits)| AttackStep {
            attack: point.attack.clone(),
            step: point.step,
            x: point.x.clone(),
            probabilities: softmax(logits),
        });
        Ok(ProbeResult::AttackSteps(steps.collect()))
    }

    /// Returns images, `[n, 3, 32, 32]` in [0,1], with the classes that the model predicts. Their own labels may be of
    /// classes that the model does not have.
    async fn predict(&self, images: &ImageSet) -> Result<(Vec<f32>, Vec<u16>), Error> {
        let x = to_unit_range(&images.pixels);
        let classes = self.oracle.logits(&x).await?.rows().map(|logits| top(logits) as u16).collect();
        Ok((x, classes))
    }
}

impl AdversarialPairs {
    /// Returns whether they were made with this norm and epsilon.
    fn match_attack(&self, config: &AttackConfig) -> bool {
        (self.norm, self.epsilon) == (config.norm, config.epsilon.0)
    }
}

fn flatten(logits: &Logits) -> Vec<f32> {
    logits.rows().flatten().copied().collect()
}

/// Returns the attack itself, if it is fast and uses the whole epsilon ball, or else PGD in the same ball.
fn fast_attack(config: &AttackConfig) -> AttackConfig {
    use AttackKind::*;
    let is_fast = matches!(config.attack, Fgsm | Bim | Pgd | MiFgsm | ApgdCe | ApgdDlr);
    if is_fast { config.clone() } else { pgd_with_epsilon_of(config) }
}

/// Returns PGD with the norm, epsilon and seed of a config.
fn pgd_with_epsilon_of(config: &AttackConfig) -> AttackConfig {
    let step = Pixels(config.epsilon.0 / 4.0);
    let pgd = AttackConfig::of(AttackKind::Pgd, config.norm);
    AttackConfig { epsilon: config.epsilon, step, seed: config.seed, ..pgd }
}
