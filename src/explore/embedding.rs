//! Images in the plane of a model's latents, over the regions that its last layer gives to each class.
//!
//! PrincipalPlane and regions come from reference images, once a model; images under attack then move in a plane that stays.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{pca::PrincipalPlane, tensor};
use crate::{
    attack::{Error, query::read},
    data::IMAGE_LEN,
    model::{Model, Pass},
    prediction::top,
};

/// Reference images that go through the network at once.
const BATCH: usize = 64;
/// Kept free around the points, as a share of their extent on each side.
const MARGIN: f32 = 0.15;

/// The reference: what is drawn once a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    pub plane: PrincipalPlane,
    /// `[N]`, the reference images' coordinates.
    pub points: Vec<[f32; 2]>,
    /// `[N]`.
    pub labels: Vec<u16>,
    pub regions: DecisionRegions,
}

/// A rectangle of the plane.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    pub low: [f32; 2],
    pub high: [f32; 2],
}

/// The class of each cell of a grid over a rectangle of the plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRegions {
    pub bounds: Bounds,
    /// Cells along each side.
    pub side: usize,
    /// `[side, side]`: the model's class at the middle of each cell; rows go up the second axis, columns along the first.
    pub classes: Vec<u16>,
}

impl Embedding {
    /// The plane of the latents of reference images `x` `[N, 3, 32, 32]` with their labels `[N]`, and its regions in
    /// `side` x `side` cells.
    pub async fn new(model: &Model, device: &Device, x: &[f32], labels: &[u16], side: usize) -> Result<Self, Error> {
        if x.len() != labels.len() * IMAGE_LEN {
            return Err(Error::Unsuited("every reference image needs a label".into()));
        }
        let latents = latents(model, device, x).await?;
        let plane = PrincipalPlane::fit(&latents, latents.len() / labels.len().max(1))?;
        let points = plane.project(&latents);
        let regions = DecisionRegions::new(model, device, &plane, Bounds::around(&points), side).await?;
        Ok(Self { plane, points, labels: labels.to_vec(), regions })
    }

    /// Where images `[N, 3, 32, 32]` lie in the plane; maybe outside the bounds of the regions.
    pub async fn project(&self, model: &Model, device: &Device, x: &[f32]) -> Result<Vec<[f32; 2]>, Error> {
        let latents = latents(model, device, x).await?;
        if latents.len() * IMAGE_LEN != self.plane.mean.len() * x.len() {
            return Err(Error::Unsuited("the plane is of another model: make it anew".into()));
        }
        Ok(self.plane.project(&latents))
    }
}

impl Bounds {
    /// Holds all points with a margin.
    pub fn around(points: &[[f32; 2]]) -> Self {
        let first = points.first().copied().unwrap_or_default();
        let mut bounds = Self { low: first, high: first };
        for (point, axis) in points.iter().flat_map(|p| [(p, 0), (p, 1)]) {
            bounds.low[axis] = bounds.low[axis].min(point[axis]);
            bounds.high[axis] = bounds.high[axis].max(point[axis]);
        }
        for axis in 0..2 {
            let extent = bounds.high[axis] - bounds.low[axis];
            let margin = if extent > 0.0 { MARGIN * extent } else { 1.0 };
            bounds.low[axis] -= margin;
            bounds.high[axis] += margin;
        }
        bounds
    }

    /// Whether a point lies inside.
    pub fn contains(&self, point: [f32; 2]) -> bool {
        (0..2).all(|axis| (self.low[axis]..=self.high[axis]).contains(&point[axis]))
    }
}

impl DecisionRegions {
    /// The classes that the model's last layer gives to the points of a plane of its latents, in `side` x `side` cells, at
    /// least one. Cheap: only that layer runs.
    pub async fn new(
        model: &Model,
        device: &Device,
        plane: &PrincipalPlane,
        bounds: Bounds,
        side: usize,
    ) -> Result<Self, Error> {
        let middle = |axis: usize, cell: usize| {
            bounds.low[axis] + (bounds.high[axis] - bounds.low[axis]) * (cell as f32 + 0.5) / side as f32
        };
        let cells = (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
        let latents: Vec<f32> =
            cells.flat_map(|(row, column)| plane.unproject([middle(0, column), middle(1, row)])).collect();
        let latents: Tensor<2> = Tensor::from_data(TensorData::new(latents, [side * side, plane.mean.len()]), device);
        let logits = read(model.classify(latents).value).await?;
        Ok(Self { bounds, side, classes: logits.chunks(model.classes).map(|z| top(z) as u16).collect() })
    }
}

/// The latents `[N, L]` of images `[N, 3, 32, 32]`.
pub async fn latents(model: &Model, device: &Device, x: &[f32]) -> Result<Vec<f32>, Error> {
    let mut latents = Vec::new();
    for x in x.chunks(BATCH * IMAGE_LEN) {
        latents.extend(read(model.forward(tensor(x, device)?, &mut Pass::inference()).latent.value).await?);
    }
    Ok(latents)
}
