//! Measurements of one model.

use std::ops::ControlFlow;

use burn::tensor::Device;
use otjr::{
    attack::{AttackBatch, AttackConfig, AttackKind, Error, Goal, ModelOracle, Norm},
    data::{IMAGE_LEN, IMAGE_SIZE, ImageSet, to_unit_range},
    evaluate::{self, State},
    explore::{jacobian, layers, margin_curve, transport},
    loss::ObjectiveConfig,
    model::Model,
    settings::Pixels,
    train::TrainConfig,
};
use serde::{Deserialize, Serialize};

/// Attacks under which accuracy is measured.
const ATTACKS: [AttackKind; 3] = [AttackKind::Fgsm, AttackKind::Pgd, AttackKind::ApgdT];
/// Radii of these attacks, in 255ths.
pub const RADII: [u8; 6] = [1, 2, 4, 8, 12, 16];
/// The radius at which representations are compared, in 255ths.
const RADIUS: f32 = 8.0;
/// Batch size.
const BATCH: usize = 250;
/// Number of projections of the transport, as in training.
const PROJECTIONS: usize = 32;
/// Number of progress steps.
pub const PARTS: u64 = (ATTACKS.len() * RADII.len()) as u64 + 3;

/// A model and, if its file contains them, the settings of its training.
pub struct StudiedModel {
    pub name: String,
    pub model: Model,
    pub config: Option<TrainConfig>,
    /// CRC-32 of the file.
    pub checksum: u32,
}

/// All measurements of a model.
#[derive(Clone, Serialize, Deserialize)]
pub struct Measurements {
    pub name: String,
    /// CRC-32 of the model's file.
    pub checksum: u32,
    #[serde(rename = "pictures")]
    pub images: usize,
    /// Checksum of the images and their labels.
    pub data: u32,
    /// Objective, and its lambda_SW and lambda_R if it uses them.
    pub trained: Option<(String, Option<f32>, Option<f32>)>,
    /// Clean accuracy in [0,1].
    pub clean: f64,
    pub curves: Vec<Curve>,
    pub shifts: Vec<LayerShift>,
    pub along_transport: JacobianResponse,
    pub at_random: JacobianResponse,
    /// L_SW between clean and adversarial logits, with 32 projections.
    pub distance: f32,
    /// Mean square of the clean logits.
    pub logits: f32,
}

impl Measurements {
    /// Returns whether the measurements are those that would be made now, for the model and images with these
    /// checksums.
    pub fn is_current(&self, model: u32, images: u32) -> bool {
        let attacks = self.curves.iter().map(|curve| (curve.attack.clone(), curve.robust.len()));
        let expected = ATTACKS.map(|attack| (attack.to_string(), RADII.len()));
        (self.checksum, self.data) == (model, images) && attacks.eq(expected)
    }
}

/// Robust accuracy in [0,1] at each of [`RADII`].
#[derive(Clone, Serialize, Deserialize)]
pub struct Curve {
    pub attack: String,
    pub robust: Vec<f64>,
}

/// Change of a layer under attack, averaged over the images.
#[derive(Clone, Serialize, Deserialize)]
pub struct LayerShift {
    pub layer: String,
    pub relative_l2: f64,
    pub cosine: f64,
}

/// Gradients u_i of the logits along given directions: their mean norm, and their mean cosine with the perturbation.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct JacobianResponse {
    pub norm: f64,
    pub alignment: f64,
}

/// Measures a model. `progress` receives the name of the next part and may stop the measurement; the result is `None`
/// then.
pub async fn all(
    subject: &StudiedModel,
    images: &ImageSet,
    device: &Device,
    mut progress: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<Option<Measurements>, Error> {
    let model = &subject.model;
    let mut clean = 0.0;
    let mut curves = Vec::new();
    for attack in ATTACKS {
        let mut robust = Vec::new();
        for radius in RADII {
            if progress(&format!("{attack} {radius}/255")).is_break() {
                return Ok(None);
            }
            let shares = accuracy(model, images, attack, f32::from(radius), device).await?;
            clean = shares[0];
            robust.push(shares[1]);
        }
        curves.push(Curve { attack: attack.to_string(), robust });
    }

    if progress("adversarial images").is_break() {
        return Ok(None);
    }
    let query = ModelOracle::new(model, device, [3, IMAGE_SIZE, IMAGE_SIZE], BATCH);
    let x = to_unit_range(&images.pixels);
    let goals = images.labels.iter().map(|&label| Goal::Untargeted(usize::from(label))).collect();
    let batch = AttackBatch { images: x, goals, image_ids: (0..images.len() as u64).collect() };
    let pgd = within(AttackKind::Pgd, RADIUS);
    let found = margin_curve::attack_at_radius(pgd.epsilon.0, &pgd, model.classes, &query, &batch, &mut ()).await?;
    let x_adv: Vec<f32> = found.into_iter().flat_map(|found| found.x).collect();

    if progress("layers").is_break() {
        return Ok(None);
    }
    let shifts = layer_shifts(model, device, &batch.images, &x_adv).await?;

    if progress("gradients").is_break() {
        return Ok(None);
    }
    let (z, a) = (query.logits(&batch.images).await?, query.logits(&x_adv).await?);
    let [z, a] = [z, a].map(|logits| logits.rows().flatten().copied().collect::<Vec<f32>>());
    let theta = transport::projections(0, model.classes, PROJECTIONS, device).await?;
    let moved = transport::compute_transport(&z, &a, &theta, model.classes)?;
    let random = jacobian::random_directions(0, images.len(), model.classes, device).await?;
    let along_transport =
        mean_response(jacobian::response(&query, &batch.images, &x_adv, &moved.direction, &[]).await?);
    let at_random = mean_response(jacobian::response(&query, &batch.images, &x_adv, &random, &[]).await?);
    Ok(Some(Measurements {
        name: subject.name.clone(),
        checksum: subject.checksum,
        images: images.len(),
        data: images.checksum(),
        trained: subject.config.as_ref().map(training_settings),
        clean,
        curves,
        shifts,
        along_transport,
        at_random,
        distance: moved.value,
        logits: z.iter().map(|z| z * z).sum::<f32>() / z.len() as f32,
    }))
}

/// Returns the clean and the robust accuracy.
async fn accuracy(
    model: &Model,
    images: &ImageSet,
    attack: AttackKind,
    radius: f32,
    device: &Device,
) -> Result<[f64; 2], Error> {
    let never_stop = |_: &State| ControlFlow::Continue(());
    let state = evaluate::accuracy(model, images, &within(attack, radius), BATCH, device, never_stop).await?;
    Ok(state.accuracy().shares())
}

/// Returns the change of each layer, averaged over the images.
async fn layer_shifts(model: &Model, device: &Device, x: &[f32], x_adv: &[f32]) -> Result<Vec<LayerShift>, Error> {
    let images = (x.len() / IMAGE_LEN) as f64;
    let mut shifts: Vec<LayerShift> = Vec::new();
    for (x, x_adv) in x.chunks(IMAGE_LEN).zip(x_adv.chunks(IMAGE_LEN)) {
        for (i, shift) in layers::layer_shifts(model, device, x, x_adv).await?.into_iter().enumerate() {
            if shifts.len() == i {
                shifts.push(LayerShift { layer: shift.name, relative_l2: 0.0, cosine: 0.0 });
            }
            shifts[i].relative_l2 += f64::from(shift.relative_l2.unwrap_or(0.0)) / images;
            shifts[i].cosine += f64::from(shift.cosine.unwrap_or(1.0)) / images;
        }
    }
    Ok(shifts)
}

/// Returns the objective, and lambda_SW and lambda_R if the objective uses them.
fn training_settings(config: &TrainConfig) -> (String, Option<f32>, Option<f32>) {
    let used = |key, value| config.objective.uses(key).then_some(value);
    let ObjectiveConfig { lambda_sw, lambda_jac, .. } = config.coefficients;
    (config.objective.to_string(), used("lambda-sw", lambda_sw), used("lambda-jac", lambda_jac))
}

/// Returns an attack with its default parameters at a radius in 255ths.
fn within(attack: AttackKind, radius: f32) -> AttackConfig {
    AttackConfig::of(attack, Norm::Linf).within(Pixels(radius / 255.0))
}

fn mean_response(of: jacobian::JacobianResponse) -> JacobianResponse {
    let mean = |values: Vec<f32>| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len().max(1) as f64;
    JacobianResponse { norm: mean(of.norms), alignment: mean(of.alignment.into_iter().flatten().collect()) }
}
