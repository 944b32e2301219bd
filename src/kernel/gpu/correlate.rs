//! Convolution and its input gradient: [`correlate.wgsl`](./correlate.wgsl).

use burn::backend::TensorMetadata;
use burn_cubecl::tensor::CubeTensor;

use super::{ConvGeometry, loss_scale, power_of_two_divisor, shader};

/// Convolves `maps` with `weight` `[k, k, in, out]`. Returns `[B, height', width', out]`.
pub fn forward(geometry: ConvGeometry, maps: CubeTensor, weight: CubeTensor) -> CubeTensor {
    launch(CorrelateShader { geometry, backward: false, loss_scale: 1 }, [maps, weight])
}

/// Computes the gradient of the input, `[B, height, width, in]`, from the gradient of the output and `weight`
/// `[k, k, out, in]`.
pub fn input_gradient(geometry: ConvGeometry, gradient: CubeTensor, weight: CubeTensor) -> CubeTensor {
    let [batch, ..] = gradient.shape().dims::<4>();
    let loss_scale = loss_scale(geometry, batch);
    launch(CorrelateShader { geometry, backward: true, loss_scale }, [gradient, weight])
}

fn launch(shader: CorrelateShader, inputs: [CubeTensor; 2]) -> CubeTensor {
    let [batch, ..] = inputs[0].shape().dims::<4>();
    let [_, [height, width, channels]] = shader.source_and_result();
    let workgroups = shader.workgroups(batch);
    shader::launch(shader, workgroups, inputs.to_vec(), vec![vec![batch, height, width, channels]]).swap_remove(0)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CorrelateShader {
    geometry: ConvGeometry,
    /// Compute the input gradient.
    backward: bool,
    /// Factor of the source before it is rounded to float16.
    loss_scale: usize,
}

/// Part of the result that a workgroup computes. A group of four channels is one `vec4`.
struct Tile {
    /// Groups of four output channels, one per thread of a row of threads.
    columns: usize,
    /// Output pixels.
    pixels: usize,
    /// Output pixels per thread.
    pixels_per_thread: usize,
    /// Groups of four source channels that are in workgroup memory at the same time.
    slab: usize,
}

impl CorrelateShader {
    /// Returns height, width and channels of the source and of the result.
    fn source_and_result(&self) -> [[usize; 3]; 2] {
        let ConvGeometry { height, width, in_channels, out_channels, .. } = self.geometry;
        let [out_height, out_width] = self.geometry.output();
        let (input, output) = ([height, width, in_channels], [out_height, out_width, out_channels]);
        if self.backward { [output, input] } else { [input, output] }
    }

    /// Returns the number of phases in each direction, and the height and width of the pixels of one phase. The pixels
    /// of a phase have the same coordinates modulo the stride.
    fn phases(&self) -> (usize, [usize; 2]) {
        let [_, [height, width, _]] = self.source_and_result();
        let side = if self.backward { self.geometry.stride } else { 1 };
        (side, [height.div_ceil(side), width.div_ceil(side)])
    }

    fn tile(&self) -> Tile {
        let [[_, _, depth], [_, _, channels]] = self.source_and_result();
        let (_, [height, width]) = self.phases();
        let columns = power_of_two_divisor(channels / 4, 16);
        let pixels = if height * width > 64 && columns < 16 { 128 } else { 64 };
        // A workgroup has at least 64 threads.
        let pixels_per_thread = (pixels * columns / 64).clamp(1, 8);
        Tile { columns, pixels, pixels_per_thread, slab: power_of_two_divisor(depth / 4, 4) }
    }

    fn workgroups(&self, batch: usize) -> [usize; 3] {
        let [_, [_, _, channels]] = self.source_and_result();
        let (side, [height, width]) = self.phases();
        let Tile { columns, pixels, .. } = self.tile();
        [(height * width).div_ceil(pixels) * (channels / 4 / columns), batch, side * side]
    }
}

impl shader::Shader for CorrelateShader {
    fn text(&self) -> String {
        include_str!("correlate.wgsl").to_owned()
    }

    fn constants(&self) -> Vec<(&'static str, usize)> {
        let [[height, width, depth], [out_height, out_width, channels]] = self.source_and_result();
        let (side, [phase_height, phase_width]) = self.phases();
        let Tile { columns, pixels, pixels_per_thread, slab } = self.tile();
        vec![
            ("K", self.geometry.kernel_size),
            ("PAD", self.geometry.kernel_size / 2),
            ("STRIDE", self.geometry.stride),
            ("HEIGHT", height),
            ("WIDTH", width),
            ("DEPTH4", depth / 4),
            ("OUT_HEIGHT", out_height),
            ("OUT_WIDTH", out_width),
            ("OUT4", channels / 4),
            ("PHASES", side),
            ("PHASE_PIXELS", phase_height * phase_width),
            ("PHASE_WIDTH", phase_width),
            ("PIXELS", pixels),
            ("ROWS", pixels / pixels_per_thread),
            ("COLUMNS", columns),
            ("COLUMN_TILES", channels / 4 / columns),
            ("SLAB4", slab),
            ("BACKWARD", self.backward.into()),
            ("LOSS_SCALE", self.loss_scale),
        ]
    }

    fn repeats(&self) -> usize {
        self.tile().pixels_per_thread
    }

    fn f16(&self) -> bool {
        self.geometry.f16
    }

    fn threads(&self) -> usize {
        let Tile { columns, pixels, pixels_per_thread, .. } = self.tile();
        columns * pixels / pixels_per_thread
    }
}
