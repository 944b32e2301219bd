//! Weight gradient of a convolution: [`weight_gradient.wgsl`](./weight_gradient.wgsl).

use burn::backend::{Cube, TensorMetadata, ops::FloatTensorOps};
use burn_cubecl::tensor::CubeTensor;

use super::{ConvGeometry, channels::sum_rows, loss_scale, power_of_two_divisor, shader};

/// Computes the gradient `[k, k, in, out]` from the input and the gradient of the output.
pub fn weight_gradient(geometry: ConvGeometry, maps: CubeTensor, gradient: CubeTensor) -> CubeTensor {
    let ConvGeometry { in_channels, out_channels, kernel_size: k, .. } = geometry;
    let [batch, ..] = maps.shape().dims::<4>();
    let shader = WeightGradientShader::new(geometry, batch);
    let parts = batch / shader.images;
    let (workgroups, shape) = ([shader.tiles(), 1, parts], vec![parts, k * k * in_channels * out_channels]);
    let parts = shader::launch(shader, workgroups, vec![maps, gradient], vec![shape]).swap_remove(0);
    Cube::float_reshape(sum_rows(parts), [k, k, in_channels, out_channels].into())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct WeightGradientShader {
    geometry: ConvGeometry,
    /// Images per workgroup, a divisor of the batch.
    images: usize,
    /// Factor of the gradient before it is rounded to float16.
    loss_scale: usize,
}

/// Number of workgroups that occupies a large GPU.
const MIN_WORKGROUPS: usize = 1024;
/// Pixels that are in workgroup memory at the same time.
const PIXELS: usize = 16;

impl WeightGradientShader {
    fn new(geometry: ConvGeometry, batch: usize) -> Self {
        let whole_batch = Self { geometry, images: batch, loss_scale: loss_scale(geometry, batch) };
        let tiles = whole_batch.tiles();
        let enough = |parts: &usize| batch.is_multiple_of(*parts) && parts * tiles >= MIN_WORKGROUPS;
        Self { images: batch / (1..=batch).find(enough).unwrap_or(batch), ..whole_batch }
    }

    fn tiles(&self) -> usize {
        self.all_rows() / self.rows() * (self.geometry.out_channels / 4 / self.columns())
    }

    /// Returns the columns of a workgroup; a column is a group of four output channels.
    fn columns(&self) -> usize {
        power_of_two_divisor(self.geometry.out_channels / 4, 16)
    }

    /// Returns the rows of a thread; a row is one tap with a group of four input channels.
    fn rows_per_thread(&self) -> usize {
        power_of_two_divisor(self.geometry.in_channels / 4, 2)
    }

    /// Returns the rows of the whole gradient.
    fn all_rows(&self) -> usize {
        self.geometry.kernel_size.pow(2) * self.geometry.in_channels / 4
    }

    /// Returns the rows of a workgroup, a divisor of [`Self::all_rows`]. It keeps a workgroup within 256 threads and 16
    /// KiB of workgroup memory.
    fn rows(&self) -> usize {
        let (all, per_thread, columns) = (self.all_rows(), self.rows_per_thread(), self.columns());
        let fits = |rows: &usize| {
            all.is_multiple_of(*rows) && rows / per_thread * columns <= 256 && rows + columns <= 1024 / PIXELS
        };
        (1..=all / per_thread).map(|n| n * per_thread).filter(fits).max().unwrap_or(per_thread)
    }
}

impl shader::Shader for WeightGradientShader {
    fn text(&self) -> String {
        include_str!("weight_gradient.wgsl").to_owned()
    }

    fn constants(&self) -> Vec<(&'static str, usize)> {
        let ConvGeometry { height, width, in_channels, out_channels, kernel_size, stride, .. } = self.geometry;
        let [out_height, out_width] = self.geometry.output();
        vec![
            ("K", kernel_size),
            ("PAD", kernel_size / 2),
            ("STRIDE", stride),
            ("HEIGHT", height),
            ("WIDTH", width),
            ("DEPTH4", in_channels / 4),
            ("OUT_HEIGHT", out_height),
            ("OUT_WIDTH", out_width),
            ("OUT4", out_channels / 4),
            ("IMAGES", self.images),
            ("PIXELS", PIXELS),
            ("ROWS4", self.rows()),
            ("ROWS_PER_THREAD", self.rows_per_thread()),
            ("COLUMNS", self.columns()),
            ("COLUMN_TILES", out_channels / 4 / self.columns()),
            ("LOSS_SCALE", self.loss_scale),
        ]
    }

    fn repeats(&self) -> usize {
        self.rows_per_thread()
    }

    fn f16(&self) -> bool {
        self.geometry.f16
    }

    fn threads(&self) -> usize {
        self.rows() / self.rows_per_thread() * self.columns()
    }
}
