//! Loss landscape: loss and margin on a plane through an image and its adversarial image (Li et al., "Visualizing the
//! Loss Landscape of Neural Nets", 2018, in input space).

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

/// A square grid of the images x + s d1 + t d2, clipped to [0,1].
#[derive(Clone, Debug, PartialEq)]
pub struct LandscapePlane {
    /// The image x, `[3, 32, 32]`.
    pub x: Vec<f32>,
    /// d1, the perturbation, and d2, a random direction of the same size.
    pub directions: [Vec<f32>; 2],
    /// The goal of the attack, which defines loss and margin.
    pub goal: Goal,
    /// The lower and upper end of both s and t.
    pub range: [f32; 2],
    /// Number of grid points along each side, at least 2.
    pub side: usize,
}

/// Loss and margin on the grid, `[side, side]`. Rows run along t, columns along s, both in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LandscapeValues {
    /// The cross-entropy that the attack maximizes, -log p_y (or log p_t for a target class t), in nats.
    pub loss: Vec<f32>,
    /// The margin of the goal in logits. At or below 0 the attack has succeeded.
    pub margin: Vec<f32>,
}

impl LandscapePlane {
    /// Constructs the plane through an image `x`, its adversarial image `x_adv` and a random direction.
    ///
    /// For L-infinity, the random direction consists of random signs with the size of the perturbation. For other norms
    /// it is a normal random vector, orthogonal to the perturbation and with the same Euclidean length.
    ///
    /// # Errors
    /// If the images have different sizes or are equal, or the grid is too small or its range empty.
    pub fn new(
        x: &[f32],
        x_adv: &[f32],
        norm: Norm,
        seed: u64,
        goal: Goal,
        range: [f32; 2],
        side: usize,
    ) -> Result<Self, Error> {
        let invalid = |problem: &str| Err(Error::Unsuited(problem.into()));
        if x.len() != x_adv.len() {
            return invalid("the image and the adversarial image have different sizes");
        }
        if side < 2 || range[1] - range[0] <= 0.0 || !(range[1] - range[0]).is_finite() {
            return invalid("a grid needs at least two points per side and an ascending range");
        }
        let d1: Vec<f32> = x_adv.iter().zip(x).map(|(a, x)| a - x).collect();
        let square = dot(&d1, &d1);
        if square == 0.0 {
            return invalid("the adversarial image equals the image, so there is no direction for the plane");
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

    /// Returns the value of s or t at a grid line.
    pub fn coordinate(&self, line: usize) -> f32 {
        let [low, high] = self.range;
        low + (high - low) * line as f32 / (self.side - 1) as f32
    }

    /// Returns the image at `s`, `t`.
    pub fn point(&self, s: f32, t: f32) -> Vec<f32> {
        let [d1, d2] = &self.directions;
        let pixels = self.x.iter().zip(d1.iter().zip(d2));
        pixels.map(|(x, (d1, d2))| (x + s * d1 + t * d2).clamp(0.0, 1.0)).collect()
    }

    /// Computes the given rows of the grid. The complete grid has the rows `0..side`.
    ///
    /// # Errors
    /// If the model does not have the class of the goal, its output is not finite, or the device fails.
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
            return Err(Error::Unsuited(format!("the model does not have a class with number {class}")));
        }
        let loss = |z: &[f32]| Loss::CrossEntropy.value_and_grad(self.goal, z, &mut vec![0.0; z.len()]) as f32;
        Ok(LandscapeValues {
            loss: logits.rows().map(loss).collect(),
            margin: logits.rows().map(|z| self.goal.margin(z)).collect(),
        })
    }
}

impl LandscapeValues {
    /// Appends the following rows.
    pub fn extend(&mut self, rows: Self) {
        self.loss.extend(rows.loss);
        self.margin.extend(rows.margin);
    }
}
