//! Convolution and the gradient of its input: [`correlate.wgsl`](./correlate.wgsl).

use burn::backend::TensorMetadata;
use burn_cubecl::tensor::CubeTensor;

use super::{Geometry, loss_scale, power_of_two, shader};

/// What a convolution gives, `[B, height', width', filters]`; weight `[side, side, channels, filters]`.
pub fn forward(geometry: Geometry, maps: CubeTensor, weight: CubeTensor) -> CubeTensor {
    launch(Correlate { geometry, back: false, scale: 1 }, [maps, weight])
}

/// The gradient of the maps, from that of the output; weight `[side, side, filters, channels]`.
pub fn input_gradient(geometry: Geometry, gradient: CubeTensor, weight: CubeTensor) -> CubeTensor {
    launch(Correlate { geometry, back: true, scale: 1 }, [gradient, weight])
}

fn launch(shader: Correlate, inputs: [CubeTensor; 2]) -> CubeTensor {
    let [batch, ..] = inputs[0].shape().dims::<4>();
    let shader = if shader.back { Correlate { scale: loss_scale(shader.geometry, batch), ..shader } } else { shader };
    let [_, [height, width, out]] = shader.ends();
    let groups = shader.groups(batch);
    shader::launch(shader, groups, inputs.to_vec(), vec![vec![batch, height, width, out]]).swap_remove(0)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Correlate {
    geometry: Geometry,
    back: bool,
    /// What the source is multiplied by where it is rounded to float16.
    scale: usize,
}

/// How a workgroup's work is cut.
struct Tile {
    /// Quads of output channels, and of those how many the threads beside each other take.
    columns: usize,
    pixels: usize,
    /// Pixels of a thread.
    own: usize,
    /// Quads of source channels that are in workgroup memory at once.
    slab: usize,
}

impl Correlate {
    /// Height, width and channels of what is read and of what is written.
    fn ends(&self) -> [[usize; 3]; 2] {
        let Geometry { height, width, channels, filters, .. } = self.geometry;
        let [out_height, out_width] = self.geometry.output();
        let ends = [[height, width, channels], [out_height, out_width, filters]];
        if self.back { [ends[1], ends[0]] } else { ends }
    }

    /// Classes of output pixels each way, and the pixels of one class.
    fn classes(&self) -> (usize, [usize; 2]) {
        let [_, [height, width, _]] = self.ends();
        let side = if self.back { self.geometry.stride } else { 1 };
        (side, [height.div_ceil(side), width.div_ceil(side)])
    }

    fn tile(&self) -> Tile {
        let [[_, _, depth], [_, _, out]] = self.ends();
        let (_, [height, width]) = self.classes();
        let columns = power_of_two(out / 4, 16);
        let pixels = if height * width > 64 && columns < 16 { 128 } else { 64 };
        // 64 threads at least.
        let own = (pixels * columns / 64).clamp(1, 8);
        Tile { columns, pixels, own, slab: power_of_two(depth / 4, 4) }
    }

    fn groups(&self, batch: usize) -> [usize; 3] {
        let [_, [_, _, out]] = self.ends();
        let (side, [height, width]) = self.classes();
        let Tile { columns, pixels, .. } = self.tile();
        [(height * width).div_ceil(pixels) * (out / 4 / columns), batch, side * side]
    }
}

impl shader::Shader for Correlate {
    fn text(&self) -> String {
        include_str!("correlate.wgsl").to_owned()
    }

    fn constants(&self) -> Vec<(&'static str, usize)> {
        let [[height, width, depth], [out_height, out_width, out]] = self.ends();
        let (side, [lattice_height, lattice_width]) = self.classes();
        let Tile { columns, pixels, own, slab } = self.tile();
        vec![
            ("K", self.geometry.side),
            ("PAD", self.geometry.side / 2),
            ("STRIDE", self.geometry.stride),
            ("HEIGHT", height),
            ("WIDTH", width),
            ("DEPTH4", depth / 4),
            ("OUT_HEIGHT", out_height),
            ("OUT_WIDTH", out_width),
            ("OUT4", out / 4),
            ("SIDE", side),
            ("LATTICE", lattice_height * lattice_width),
            ("LATTICE_WIDTH", lattice_width),
            ("PIXELS", pixels),
            ("ROWS", pixels / own),
            ("COLUMNS", columns),
            ("COLUMN_TILES", out / 4 / columns),
            ("SLAB4", slab),
            ("BACK", self.back.into()),
            ("SCALE", self.scale),
        ]
    }

    fn repeats(&self) -> usize {
        self.tile().own
    }

    fn half(&self) -> bool {
        self.geometry.half
    }

    fn threads(&self) -> usize {
        let Tile { columns, pixels, own, .. } = self.tile();
        columns * pixels / own
    }
}
