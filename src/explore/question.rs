//! What the page asks about a model, its picture and the attack on it, and what it gets.

use serde::{Deserialize, Serialize};

use super::{
    embedding::Embedding,
    jacobian::Reaction,
    landscape::Landscape,
    layers::{Maps, Shift},
    margins::Radius,
    transport::Transport,
};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Question {
    /// How far the attack has moved every layer.
    Layers,
    /// The channels of a layer, by its name, that have moved most.
    Maps(String),
    /// Where the picture went, among others, in the plane of the latents.
    Embedding,
    /// How transport would bring a batch back.
    Transport,
    /// How strongly a batch reacts along transport and at random.
    Jacobian,
    /// The loss around the picture.
    Landscape,
    /// The margin as the ball grows.
    Margins,
    /// Where the attack was on its way, and what the model saw there.
    Moments,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Layers(Vec<Shift>),
    Maps(Maps),
    Embedding(Way),
    /// Of a batch whose first picture is the visitor's.
    Transport(Transport),
    Jacobian(Reactions),
    Landscape(Surroundings),
    Margins(Vec<Radius>),
    /// The picture itself first.
    Moments(Vec<Moment>),
}

/// The worst point that an attack had found after a step of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Its name; of a suite the one under way.
    pub attack: String,
    /// Steps of it done.
    pub step: usize,
    /// `[3, 32, 32]` in [0,1].
    pub x: Vec<f32>,
    /// `[C]`
    pub probabilities: Vec<f32>,
}

/// A picture under attack in the plane of its model's latents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Way {
    pub reference: Embedding,
    /// From the picture itself to the attacked one.
    pub path: Vec<[f32; 2]>,
}

/// How a batch, whose first picture is the visitor's, reacts along two kinds of directions. One map each, of that picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reactions {
    pub transport: Reaction,
    pub random: Reaction,
}

/// The loss on a square grid around the picture; while it is being computed, its first rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surroundings {
    pub values: Landscape,
    /// Points along each side.
    pub side: usize,
    /// The ends of both coordinates: 0 is the picture, 1 along the first the attacked one.
    pub range: [f32; 2],
}
