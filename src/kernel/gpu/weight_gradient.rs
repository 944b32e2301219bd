//! The gradient of a convolution's weight: [`weight_gradient.wgsl`](./weight_gradient.wgsl).

use burn::backend::{Cube, TensorMetadata, ops::FloatTensorOps};
use burn_cubecl::tensor::CubeTensor;

use super::{Geometry, channels::sum_rows, loss_scale, power_of_two, shader};

/// `[side, side, channels, filters]`, from the maps and the gradient of the output.
pub fn weight_gradient(geometry: Geometry, maps: CubeTensor, gradient: CubeTensor) -> CubeTensor {
    let Geometry { channels, filters, side, .. } = geometry;
    let [batch, ..] = maps.shape().dims::<4>();
    let shader = WeightGradient::new(geometry, batch);
    let parts = batch / shader.images;
    let (groups, shape) = ([shader.tiles(), 1, parts], vec![parts, side * side * channels * filters]);
    let parts = shader::launch(shader, groups, vec![maps, gradient], vec![shape]).swap_remove(0);
    Cube::float_reshape(sum_rows(parts), [side, side, channels, filters].into())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct WeightGradient {
    geometry: Geometry,
    /// Images of a workgroup, a divisor of the batch.
    images: usize,
    /// What the gradient is multiplied by where it is rounded to float16.
    scale: usize,
}

/// Workgroups that keep a large GPU busy.
const ENOUGH: usize = 1024;
/// Pixels that are in workgroup memory at once.
const PIXELS: usize = 16;

impl WeightGradient {
    fn new(geometry: Geometry, batch: usize) -> Self {
        let whole = Self { geometry, images: batch, scale: loss_scale(geometry, batch) };
        let enough = |parts: &usize| batch.is_multiple_of(*parts) && parts * whole.tiles() >= ENOUGH;
        Self { images: batch / (1..=batch).find(enough).unwrap_or(batch), ..whole.clone() }
    }

    fn tiles(&self) -> usize {
        let [all, rows] = self.rows();
        all / rows * (self.geometry.filters / 4 / self.columns())
    }

    /// Quads of output channels of a workgroup.
    fn columns(&self) -> usize {
        power_of_two(self.geometry.filters / 4, 16)
    }

    /// Quads of rows of a thread.
    fn own(&self) -> usize {
        power_of_two(self.geometry.channels / 4, 2)
    }

    /// Quads of rows, each a tap's four channels, and of those how many a workgroup takes.
    fn rows(&self) -> [usize; 2] {
        let (all, own, columns) = (self.geometry.side.pow(2) * self.geometry.channels / 4, self.own(), self.columns());
        // 256 threads and 16 KiB of workgroup memory at most.
        let fits =
            |rows: &usize| all.is_multiple_of(*rows) && rows / own * columns <= 256 && rows + columns <= 1024 / PIXELS;
        [all, (1..=all / own).map(|n| n * own).filter(fits).max().unwrap_or(own)]
    }
}

impl shader::Shader for WeightGradient {
    fn text(&self) -> String {
        include_str!("weight_gradient.wgsl").to_owned()
    }

    fn constants(&self) -> Vec<(&'static str, usize)> {
        let Geometry { height, width, channels, filters, side, stride, .. } = self.geometry;
        let [out_height, out_width] = self.geometry.output();
        let [_, rows] = self.rows();
        vec![
            ("K", side),
            ("PAD", side / 2),
            ("STRIDE", stride),
            ("HEIGHT", height),
            ("WIDTH", width),
            ("DEPTH4", channels / 4),
            ("OUT_HEIGHT", out_height),
            ("OUT_WIDTH", out_width),
            ("OUT4", filters / 4),
            ("IMAGES", self.images),
            ("PIXELS", PIXELS),
            ("ROWS4", rows),
            ("OWN4", self.own()),
            ("COLUMNS", self.columns()),
            ("COLUMN_TILES", filters / 4 / self.columns()),
            ("SCALE", self.scale),
        ]
    }

    fn repeats(&self) -> usize {
        self.own()
    }

    fn half(&self) -> bool {
        self.geometry.half
    }

    fn threads(&self) -> usize {
        let [_, rows] = self.rows();
        rows / self.own() * self.columns()
    }
}
