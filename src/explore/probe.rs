//! Requests of the page about a model, its image and the last attack on it (probes), and their results.

use serde::{Deserialize, Serialize};

use super::{
    embedding::Embedding,
    jacobian::JacobianResponse,
    landscape::LandscapeValues,
    layers::{ChannelMaps, LayerShift},
    margin_curve::MarginPoint,
    transport::TransportPlan,
};

/// An analysis that the page requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Probe {
    /// The change of every layer under the attack.
    Layers,
    /// The most changed channels of the layer with this name.
    ChannelMaps(String),
    /// The path of the attack in the principal plane of the latents.
    Embedding,
    /// The optimal transport of a batch of adversarial logits onto the clean logits.
    Transport,
    /// The input gradients of a batch along the transport and along random directions.
    Jacobian,
    /// The loss landscape around the image.
    Landscape,
    /// The margin as a function of the attack radius.
    MarginCurve,
    /// Images and predictions along the trajectory of the attack.
    AttackSteps,
}

/// The result of a [`Probe`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ProbeResult {
    /// All layers, from pixels to logits.
    Layers(Vec<LayerShift>),
    /// The most changed channels of one layer.
    ChannelMaps(ChannelMaps),
    /// The path in the plane of the latents.
    Embedding(LatentPath),
    /// The transport of a batch whose first image is the user's.
    Transport(TransportPlan),
    /// The input gradients.
    Jacobian(JacobianResponses),
    /// The loss landscape.
    Landscape(LandscapeGrid),
    /// One point per radius, in ascending order.
    MarginCurve(Vec<MarginPoint>),
    /// The steps of the attack; the first one is the original image.
    AttackSteps(Vec<AttackStep>),
}

/// The best adversarial image that an attack had found after one of its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackStep {
    /// The name of the attack; for a suite, that of the current attack.
    pub attack: String,
    /// Number of completed steps.
    pub step: usize,
    /// `[3, 32, 32]` in [0,1].
    pub x: Vec<f32>,
    /// `[C]`, the predicted probabilities.
    pub probabilities: Vec<f32>,
}

/// The path of an attack in the principal plane of the latents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatentPath {
    /// The embedding of the reference images.
    pub reference: Embedding,
    /// The coordinates from the original image to the adversarial image.
    pub path: Vec<[f32; 2]>,
}

/// The input gradients of a batch along two kinds of directions. The first image of the batch is the user's; only its
/// gradient maps are included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JacobianResponses {
    /// Along the transport directions.
    pub transport: JacobianResponse,
    /// Along random directions.
    pub random: JacobianResponse,
}

/// The loss on a square grid around the image. It has the first rows only while it is being computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LandscapeGrid {
    /// Loss and margin.
    pub values: LandscapeValues,
    /// Number of points along each side.
    pub side: usize,
    /// The ends of both coordinates. The original image is at (0, 0) and the adversarial image at (1, 0).
    pub range: [f32; 2],
}
