//! The loss around an image: on a plane through the image and its adversarial image.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::dot;
use crate::{
    attack::{
        Error, Goal, Loss, ModelOracle, Norm,
        threat::{rescale, sign},
    },
    model::Classifier,
    random::{self, StreamId},
};

/// The points x + s d1 + t d2, cut to [0,1], on a square grid of s and t.
#[derive(Clone, Debug, PartialEq)]
pub struct LandscapePlane {
    pub x: Vec<f32>,
    /// d1, to the adversarial image, and d2, a random direction of the same kind.
    pub directions: [Vec<f32>; 2],
    /// What an attack wants of the image.
    pub goal: Goal,
    /// The ends of both s and t.
    pub range: [f32; 2],
    /// Points along each side, at least 2.
    pub side: usize,
}

/// The loss and the margin on the grid, `[side, side]`: rows go along t, columns along s, both upwards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LandscapeValues {
    /// The cross-entropy that the attack climbs, -log p_y (or log p_t towards a target), in nats.
    pub loss: Vec<f32>,
    /// The goal's margin, in logits; at or below 0 the goal is reached.
    pub margin: Vec<f32>,
}

impl LandscapePlane {
    /// The plane through an image `x`, its adversarial image `x_adv` and a point that a seed draws: for L-inf, random signs
    /// of the size of the perturbation; else a normal draw, perpendicular to the perturbation and of its Euclidean length.
    pub fn new(
        x: &[f32],
        x_adv: &[f32],
        norm: Norm,
        seed: u64,
        goal: Goal,
        range: [f32; 2],
        side: usize,
    ) -> Result<Self, Error> {
        let unsuited = |problem: &str| Err(Error::Unsuited(problem.into()));
        if x.len() != x_adv.len() {
            return unsuited("the adversarial image has another size than the image");
        }
        if side < 2 || range[1] - range[0] <= 0.0 || !(range[1] - range[0]).is_finite() {
            return unsuited("a grid needs at least two points a side, and a range that goes up");
        }
        let d1: Vec<f32> = x_adv.iter().zip(x).map(|(a, x)| a - x).collect();
        let square = dot(&d1, &d1);
        if square == 0.0 {
            return unsuited("the adversarial image is the image itself: there is no direction to look along");
        }
        let draw = random::normal(&mut random::stream(seed, StreamId::Directions, 2), x.len());
        let d2 = if norm == Norm::Linf {
            let size = Norm::Linf.norm(d1.iter().copied());
            draw.into_iter().map(|v| size * sign(v)).collect()
        } else {
            let along = (dot(&draw, &d1) / square) as f32;
            let across: Vec<f32> = draw.iter().zip(&d1).map(|(v, d)| v - along * d).collect();
            rescale(&across, Norm::L2, square.sqrt() as f32)
        };
        Ok(Self { x: x.to_vec(), directions: [d1, d2], goal, range, side })
    }

    /// s or t of a grid line.
    pub fn coordinate(&self, line: usize) -> f32 {
        let [low, high] = self.range;
        low + (high - low) * line as f32 / (self.side - 1) as f32
    }

    /// The image at `s`, `t`.
    pub fn point(&self, s: f32, t: f32) -> Vec<f32> {
        let [d1, d2] = &self.directions;
        let pixels = self.x.iter().zip(d1.iter().zip(d2));
        pixels.map(|(x, (d1, d2))| (x + s * d1 + t * d2).clamp(0.0, 1.0)).collect()
    }

    /// The landscape of some rows of the grid, of `0..side`; the parts, one after the other, are the whole.
    pub async fn rows(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        rows: Range<usize>,
    ) -> Result<LandscapeValues, Error> {
        let points = rows.flat_map(|row| (0..self.side).map(move |column| (row, column)));
        let x: Vec<f32> =
            points.flat_map(|(row, column)| self.point(self.coordinate(column), self.coordinate(row))).collect();
        let logits = query.logits(&x).await?;
        let (Goal::Untargeted(class) | Goal::Targeted(class)) = self.goal;
        if class >= logits.classes {
            return Err(Error::Unsuited(format!("the model has no class number {class}")));
        }
        let loss = |z: &[f32]| Loss::CrossEntropy.value_and_grad(self.goal, z, &mut vec![0.0; z.len()]) as f32;
        Ok(LandscapeValues {
            loss: logits.rows().map(loss).collect(),
            margin: logits.rows().map(|z| self.goal.margin(z)).collect(),
        })
    }
}

impl LandscapeValues {
    /// Adds the rows that follow.
    pub fn extend(&mut self, rows: Self) {
        self.loss.extend(rows.loss);
        self.margin.extend(rows.margin);
    }
}
