//! What is measured of one model.

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

/// The attacks whose accuracy is measured, and the radii, in 255ths.
const ATTACKS: [AttackKind; 3] = [AttackKind::Fgsm, AttackKind::Pgd, AttackKind::ApgdT];
pub const RADII: [u8; 6] = [1, 2, 4, 8, 12, 16];
/// The radius at which representations are compared, in 255ths.
const RADIUS: f32 = 8.0;
/// Images at once.
const BATCH: usize = 250;
/// Projections of the transport, as in training.
const PROJECTIONS: usize = 32;
/// Steps of progress.
pub const PARTS: u64 = (ATTACKS.len() * RADII.len()) as u64 + 3;

/// A model, and what it was trained with if its file says so.
pub struct Subject {
    pub name: String,
    pub model: Model,
    pub config: Option<TrainConfig>,
    pub checksum: u32,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Findings {
    pub name: String,
    pub checksum: u32,
    pub images: usize,
    /// Checksum of the images and their labels.
    pub data: u32,
    /// Objective, lambda_SW and lambda_R where it has them, if known.
    pub trained: Option<(String, Option<f32>, Option<f32>)>,
    /// Shares of the images, as those under attack.
    pub clean: f64,
    pub curves: Vec<Curve>,
    pub shifts: Vec<LayerShift>,
    pub along_transport: JacobianResponse,
    pub at_random: JacobianResponse,
    /// L_SW between clean and attacked logits, from 32 projections; and the clean logits' mean square, its scale.
    pub distance: f32,
    pub logits: f32,
}

impl Findings {
    /// Whether it was measured as it would be now, on these images, of the model with this file.
    pub fn holds(&self, model: u32, images: u32) -> bool {
        let attacks = self.curves.iter().map(|curve| (curve.attack.clone(), curve.robust.len()));
        let now = ATTACKS.map(|attack| (attack.to_string(), RADII.len()));
        (self.checksum, self.data) == (model, images) && attacks.eq(now)
    }
}

/// Accuracy at each of [`RADII`].
#[derive(Clone, Serialize, Deserialize)]
pub struct Curve {
    pub attack: String,
    pub robust: Vec<f64>,
}

/// How far a layer moves under attack, means over the images.
#[derive(Clone, Serialize, Deserialize)]
pub struct LayerShift {
    pub layer: String,
    pub relative_l2: f64,
    pub cosine: f64,
}

/// Of the images' gradients u_i along some directions: the mean of their lengths, and of their cosine with the
/// perturbation.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct JacobianResponse {
    pub norm: f64,
    pub alignment: f64,
}

/// All of it; none if `progress`, which is told what comes next, ends it.
pub async fn all(
    subject: &Subject,
    images: &ImageSet,
    device: &Device,
    mut progress: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<Option<Findings>, Error> {
    let model = &subject.model;
    let mut clean = 0.0;
    let mut curves = Vec::new();
    for attack in ATTACKS {
        let mut robust = Vec::new();
        for radius in RADII {
            if progress(&format!("{attack} {radius}/255")).is_break() {
                return Ok(None);
            }
            let config = within(attack, f32::from(radius));
            let flow = |_: &State| ControlFlow::Continue(());
            let state = evaluate::accuracy(model, images, &config, BATCH, device, flow).await?;
            let shares = state.accuracy().shares();
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
    let task = AttackBatch { images: x, goals, image_ids: (0..images.len() as u64).collect() };
    let pgd = within(AttackKind::Pgd, RADIUS);
    let found = margin_curve::attack_at_radius(pgd.epsilon.0, &pgd, model.classes, &query, &task, &mut ()).await?;
    let x_adv: Vec<f32> = found.into_iter().flat_map(|found| found.x).collect();

    if progress("layers").is_break() {
        return Ok(None);
    }
    let mut shifts: Vec<LayerShift> = Vec::new();
    for (x, x_adv) in task.images.chunks(IMAGE_LEN).zip(x_adv.chunks(IMAGE_LEN)) {
        for (i, shift) in layers::layer_shifts(model, device, x, x_adv).await?.into_iter().enumerate() {
            if shifts.len() == i {
                shifts.push(LayerShift { layer: shift.name, relative_l2: 0.0, cosine: 0.0 });
            }
            shifts[i].relative_l2 += f64::from(shift.relative_l2.unwrap_or(0.0)) / images.len() as f64;
            shifts[i].cosine += f64::from(shift.cosine.unwrap_or(1.0)) / images.len() as f64;
        }
    }

    if progress("gradients").is_break() {
        return Ok(None);
    }
    let (z, a) = (query.logits(&task.images).await?, query.logits(&x_adv).await?);
    let [z, a] = [z, a].map(|logits| logits.rows().flatten().copied().collect::<Vec<f32>>());
    let theta = transport::projections(0, model.classes, PROJECTIONS, device).await?;
    let moved = transport::compute_transport(&z, &a, &theta, model.classes)?;
    let random = jacobian::random_directions(0, images.len(), model.classes, device).await?;
    let along_transport = reaction(jacobian::response(&query, &task.images, &x_adv, &moved.direction, &[]).await?);
    let at_random = reaction(jacobian::response(&query, &task.images, &x_adv, &random, &[]).await?);
    let trained = subject.config.as_ref();
    Ok(Some(Findings {
        name: subject.name.clone(),
        checksum: subject.checksum,
        images: images.len(),
        data: images.checksum(),
        trained: trained.map(|c| {
            let of = |key, value| c.objective.uses(key).then_some(value);
            let ObjectiveConfig { lambda_sw, lambda_jac, .. } = c.coefficients;
            (c.objective.to_string(), of("lambda-sw", lambda_sw), of("lambda-jac", lambda_jac))
        }),
        clean,
        curves,
        shifts,
        along_transport,
        at_random,
        distance: moved.value,
        logits: z.iter().map(|z| z * z).sum::<f32>() / z.len() as f32,
    }))
}

/// An attack with its usual parameters; the radius in 255ths.
fn within(attack: AttackKind, radius: f32) -> AttackConfig {
    AttackConfig::of(attack, Norm::Linf).within(Pixels(radius / 255.0))
}

fn reaction(of: jacobian::JacobianResponse) -> JacobianResponse {
    let mean = |values: Vec<f32>| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len().max(1) as f64;
    JacobianResponse { norm: mean(of.norms), alignment: mean(of.alignment.into_iter().flatten().collect()) }
}
