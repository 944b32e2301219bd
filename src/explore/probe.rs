//! What the page asks about a model, its image and the attack on it, and what it gets.

use serde::{Deserialize, Serialize};

use super::{
    embedding::Embedding,
    jacobian::JacobianResponse,
    landscape::LandscapeValues,
    layers::{ChannelMaps, LayerShift},
    margin_curve::MarginPoint,
    transport::TransportPlan,
};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Probe {
    /// How far the attack has moved every layer.
    Layers,
    /// The channels of a layer, by its name, that have moved most.
    ChannelMaps(String),
    /// Where the image went, among others, in the plane of the latents.
    Embedding,
    /// How transport would bring a batch back.
    Transport,
    /// How strongly a batch reacts along transport and at random.
    Jacobian,
    /// The loss around the image.
    Landscape,
    /// The margin as the ball grows.
    MarginCurve,
    /// Where the attack was on its way, and what the model saw there.
    AttackSteps,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ProbeResult {
    Layers(Vec<LayerShift>),
    ChannelMaps(ChannelMaps),
    Embedding(LatentPath),
    /// Of a batch whose first image is the user's.
    Transport(TransportPlan),
    Jacobian(JacobianResponses),
    Landscape(LandscapeGrid),
    MarginCurve(Vec<MarginPoint>),
    /// The image itself first.
    AttackSteps(Vec<AttackStep>),
}

/// The worst point that an attack had found after a step of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackStep {
    /// Its name; of a suite the one under way.
    pub attack: String,
    /// Steps of it done.
    pub step: usize,
    /// `[3, 32, 32]` in [0,1].
    pub x: Vec<f32>,
    /// `[C]`
    pub probabilities: Vec<f32>,
}

/// An image under attack in the plane of its model's latents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatentPath {
    pub reference: Embedding,
    /// From the image itself to the attacked one.
    pub path: Vec<[f32; 2]>,
}

/// How a batch, whose first image is the user's, reacts along two kinds of directions. One map each, of that image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JacobianResponses {
    pub transport: JacobianResponse,
    pub random: JacobianResponse,
}

/// The loss on a square grid around the image; while it is being computed, its first rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LandscapeGrid {
    pub values: LandscapeValues,
    /// Points along each side.
    pub side: usize,
    /// The ends of both coordinates: 0 is the image, 1 along the first the attacked one.
    pub range: [f32; 2],
}
