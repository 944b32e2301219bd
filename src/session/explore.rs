//! Answers the page's questions about a model, its image and the attack on it.

use std::{collections::btree_map::Entry, ops::ControlFlow};

use super::{
    CommandError, Session, softmax,
    watch::{Line, Point},
};
use crate::{
    attack::{
        Attack, AttackBatch, AttackConfig, AttackKind, Error, Goal, ModelOracle, Norm, Observer, Progress,
        any::build_attacks,
    },
    data::{IMAGE_SIZE, ImageSet, synthetic, to_unit_range},
    explore::{
        embedding::Embedding,
        jacobian,
        landscape::{LandscapePlane, LandscapeValues},
        layers,
        margin_curve::{MarginPoint, attack_at_radius},
        probe::{AttackStep, JacobianResponses, LandscapeGrid, LatentPath, Probe, ProbeResult},
        transport,
    },
    model::Model,
    prediction::top,
    protocol::{ErrorScope, Event, Slot},
    settings::Pixels,
};

/// Images that span the plane of the latents.
const REFERENCE: usize = 200;
/// Cells along each side of that plane's map of classes.
const CELLS: usize = 48;
/// Images of a batch, the user's among them; projections of its transport.
const BATCH: usize = 32;
const PROJECTIONS: usize = 32;
/// Channels of a layer that are shown.
const CHANNELS: usize = 8;
/// Points along each side of the landscape, and its ends: both the image (0) and its twin (1) are on the grid.
const SIDE_POINTS: usize = 25;
const ENDS: [f32; 2] = [-0.5, 1.5];
/// Radii at which the margin is looked at, of the chosen one, until the image falls.
const RADII: [f32; 10] = [0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0];

/// What an attack has left.
pub struct Attacked {
    pub config: AttackConfig,
    pub goal: Goal,
    pub x_adv: Vec<f32>,
    pub path: Vec<Point>,
}

/// A batch of reference images and their adversarial images.
pub struct Twins {
    norm: Norm,
    epsilon: f32,
    x: Vec<f32>,
    x_adv: Vec<f32>,
}

/// Lets commands arrive while a batch is attacked, and ends the attack if one has.
struct Quiet<'a, 'b>(&'b mut Line<'a>);

impl Observer for Quiet<'_, '_> {
    async fn step(&mut self, _: Progress<'_>) -> ControlFlow<()> {
        if self.0.due() { self.0.tell(None).await } else { ControlFlow::Continue(()) }
    }
}

/// Why there is no answer.
enum No {
    /// A later command has come.
    Stopped,
    Because(Error),
}

impl From<Error> for No {
    fn from(error: Error) -> Self {
        Self::Because(error)
    }
}

impl Session {
    pub(super) async fn explore(
        &mut self,
        id: u64,
        slot: Slot,
        probe: Probe,
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let latest = self.latest.clone();
        let mut line = Line::new(id, &latest, emit);
        let told = |answer: Result<ProbeResult, String>, over| Event::Explored {
            id,
            slot,
            probe: probe.clone(),
            answer: answer.map(Box::new),
            over,
        };
        let part = |answer| told(Ok(answer), false);
        let answer = match self.answer(slot, &probe, &mut line, &part).await {
            Ok(answer) => Ok(answer),
            Err(No::Stopped) => {
                emit(Event::ProbeCancelled { id });
                return Ok(());
            }
            Err(No::Because(Error::Device(text))) => return Err(CommandError(ErrorScope::Device, text)),
            Err(No::Because(error)) => Err(error.to_string()),
        };
        emit(told(answer, true));
        Ok(())
    }

    async fn answer(
        &mut self,
        slot: Slot,
        probe: &Probe,
        line: &mut Line<'_>,
        part: &dyn Fn(ProbeResult) -> Event,
    ) -> Result<ProbeResult, No> {
        let missing = || Error::Unsuited("there is no attack to look at yet".into());
        let device = self.device.clone().ok_or_else(missing)?;
        let (model, info) = self.models.get(&slot).ok_or_else(missing)?;
        let x = self.image.as_ref().ok_or_else(missing)?.to_unit_range();
        let attacked = self.attacked.get(&slot).ok_or_else(missing)?;
        let query = ModelOracle::new(model, &device, [3, IMAGE_SIZE, IMAGE_SIZE], BATCH);
        let photos = &self.reference;
        let known = |count| {
            let embedded = synthetic::generate(0, 0, count).test;
            if photos.is_empty() || info.classes == embedded.classes {
                embedded
            } else {
                photos.stratified_sample(count)
            }
        };
        Ok(match probe {
            Probe::Layers => ProbeResult::Layers(layers::layer_shifts(model, &device, &x, &attacked.x_adv).await?),
            Probe::ChannelMaps(layer) => ProbeResult::ChannelMaps(
                layers::channel_maps(model, &device, &x, &attacked.x_adv, layer, CHANNELS).await?,
            ),
            Probe::Embedding => {
                let reference = match self.embeddings.entry(slot) {
                    Entry::Occupied(made) => made.get().clone(),
                    Entry::Vacant(place) => {
                        let (x, labels) = reference(&query, &known(REFERENCE)).await?;
                        place.insert(Embedding::new(model, &device, &x, &labels, CELLS).await?).clone()
                    }
                };
                let path: Vec<f32> = attacked.path.iter().flat_map(|point| &point.x).copied().collect();
                let way = [&x[..], &path, &attacked.x_adv].concat();
                let path = reference.project(model, &device, &way).await?;
                ProbeResult::Embedding(LatentPath { reference, path })
            }
            Probe::Transport | Probe::Jacobian => {
                let twins = match self.twins.remove(&slot).filter(|twins| twins.suit(&attacked.config)) {
                    Some(twins) => twins,
                    None => Twins::new(&query, &known(BATCH - 1), model.classes, &attacked.config, line).await?,
                };
                let twins = self.twins.entry(slot).insert_entry(twins).into_mut();
                let (x, x_adv) = ([&x[..], &twins.x].concat(), [&attacked.x_adv[..], &twins.x_adv].concat());
                let flat = |logits: crate::attack::Logits| logits.rows().flatten().copied().collect::<Vec<_>>();
                let (z, a) = (flat(query.logits(&x).await?), flat(query.logits(&x_adv).await?));
                let seed = attacked.config.seed;
                let theta = transport::projections(seed, model.classes, PROJECTIONS, &device).await?;
                let transport = transport::compute_transport(&z, &a, &theta, model.classes)?;
                if *probe == Probe::Transport {
                    return Ok(ProbeResult::Transport(transport));
                }
                let random = jacobian::random_directions(seed, z.len() / model.classes, model.classes, &device).await?;
                ProbeResult::Jacobian(JacobianResponses {
                    transport: jacobian::response(&query, &x, &x_adv, &transport.direction, &[0]).await?,
                    random: jacobian::response(&query, &x, &x_adv, &random, &[0]).await?,
                })
            }
            Probe::Landscape => {
                let Attacked { config, goal, x_adv, .. } = attacked;
                let plane = LandscapePlane::new(&x, x_adv, config.norm, config.seed, *goal, ENDS, SIDE_POINTS)?;
                let mut values = LandscapeValues::default();
                for row in 0..SIDE_POINTS {
                    values.extend(plane.rows(&query, row..row + 1).await?);
                    if line.due() {
                        let values = values.clone();
                        let so_far = ProbeResult::Landscape(LandscapeGrid { values, side: SIDE_POINTS, range: ENDS });
                        if line.tell(Some(part(so_far))).await.is_break() {
                            return Err(No::Stopped);
                        }
                    }
                }
                ProbeResult::Landscape(LandscapeGrid { values, side: SIDE_POINTS, range: ENDS })
            }
            Probe::MarginCurve => {
                let clean = attacked.goal.margin(query.logits(&x).await?.row(0));
                let mut curve = vec![MarginPoint { epsilon: 0.0, margin: clean }];
                let task = AttackBatch { images: x, goals: vec![attacked.goal], image_ids: vec![0] };
                let config = plain(&attacked.config);
                for radius in RADII.map(|times| times * config.epsilon.0) {
                    if curve.last().is_some_and(|last| last.margin <= 0.0) {
                        break;
                    }
                    let found =
                        attack_at_radius(radius, &config, model.classes, &query, &task, &mut Quiet(line)).await?;
                    if line.stopped {
                        return Err(No::Stopped);
                    }
                    curve.extend(found.iter().map(|f| MarginPoint { epsilon: radius, margin: f.margin }));
                    if line.tell(Some(part(ProbeResult::MarginCurve(curve.clone())))).await.is_break() {
                        return Err(No::Stopped);
                    }
                }
                ProbeResult::MarginCurve(curve)
            }
            Probe::AttackSteps => {
                let start = ("", 0, &x);
                let path = attacked.path.iter().map(|Point { attack, step, x }| (attack.as_str(), *step, x));
                let points: Vec<_> = [start].into_iter().chain(path).collect();
                let all: Vec<f32> = points.iter().flat_map(|(.., x)| x.iter().copied()).collect();
                let seen = query.logits(&all).await?;
                let moment = |((attack, step, x), z): ((&str, usize, &Vec<f32>), _)| AttackStep {
                    attack: attack.into(),
                    step,
                    x: x.clone(),
                    probabilities: softmax(z),
                };
                ProbeResult::AttackSteps(points.into_iter().zip(seen.rows()).map(moment).collect())
            }
        })
    }
}

/// The attack where it fills a ball in little time; else PGD in the same ball.
fn plain(config: &AttackConfig) -> AttackConfig {
    use AttackKind::*;
    let quick = matches!(config.attack, Fgsm | Bim | Pgd | MiFgsm | ApgdCe | ApgdDlr);
    if quick { config.clone() } else { pgd_within(config) }
}

/// PGD-20 in the ball of a config.
fn pgd_within(config: &AttackConfig) -> AttackConfig {
    let step = Pixels(config.epsilon.0 / 4.0);
    let usual = AttackConfig::of(AttackKind::Pgd, config.norm);
    AttackConfig { epsilon: config.epsilon, step, seed: config.seed, ..usual }
}

/// Images with the classes that the model gives them: it may know others than theirs.
async fn reference(query: &ModelOracle<'_, Model>, set: &ImageSet) -> Result<(Vec<f32>, Vec<u16>), Error> {
    let x = to_unit_range(&set.pixels);
    let seen = query.logits(&x).await?.rows().map(|z| top(z) as u16).collect();
    Ok((x, seen))
}

impl Twins {
    fn suit(&self, config: &AttackConfig) -> bool {
        (self.norm, self.epsilon) == (config.norm, config.epsilon.0)
    }

    /// Attacks reference images, by PGD in the ball of a config.
    async fn new(
        query: &ModelOracle<'_, Model>,
        set: &ImageSet,
        classes: usize,
        config: &AttackConfig,
        line: &mut Line<'_>,
    ) -> Result<Self, No> {
        let (x, seen) = reference(query, set).await?;
        let goals = seen.iter().map(|&class| Goal::Untargeted(usize::from(class))).collect();
        let task = AttackBatch { images: x, goals, image_ids: (0..seen.len() as u64).collect() };
        let stage = build_attacks(&pgd_within(config), classes)?.into_iter().next();
        let stage = stage.ok_or_else(|| Error::Unsuited("there is no attack for this model".into()))?;
        let found = stage.attack.run(query, &task, &mut Quiet(line)).await?;
        if line.stopped {
            return Err(No::Stopped);
        }
        let x_adv = found.into_iter().flat_map(|f| f.x).collect();
        Ok(Self { norm: config.norm, epsilon: config.epsilon.0, x: task.images, x_adv })
    }
}
