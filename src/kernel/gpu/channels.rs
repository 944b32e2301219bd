//! Channel passes: normalization, ReLU, their gradients and moments. A pass reads feature maps and factors per channel,
//! writes feature maps, and may sum over all pixels. WGSL template: [`channels.wgsl`](./channels.wgsl).

use burn::backend::{Cube, TensorMetadata, ops::FloatTensorOps};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

use super::{power_of_two_divisor, shader};

/// Computation of a channel pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelPass {
    /// From x: scale x + shift.
    Affine,
    /// From x: relu(scale x + shift).
    AffineRelu,
    /// From x and dy: the gradient of x, and the sums for the gradients of scale and shift, of [`Self::Affine`].
    AffineBackward,
    /// The same of [`Self::AffineRelu`].
    AffineReluBackward,
    /// From x and t: a t + b x + c where scale x + shift is positive, and 0 elsewhere.
    Tangent,
    /// From x, t and dy: the gradients of x and t, and the sums for the gradients of a, b and c, of [`Self::Tangent`].
    TangentBackward,
    /// From x: the sum of x.
    Sum,
    /// From x: the sum of the squared distances from the mean.
    SquaredDeviations,
    /// From x and t: the sums of t and of x t.
    CrossSums,
}

/// Inputs, outputs and WGSL expressions of a pass.
struct PassSpec {
    /// Feature maps that are read.
    maps: &'static [&'static str],
    /// Values per channel that are read.
    factors: &'static [&'static str],
    /// Statement that precedes the expressions.
    statement: &'static str,
    /// Names and values of the feature maps that are written.
    outputs: &'static [(&'static str, &'static str)],
    /// Values that are summed over all pixels of a channel.
    sums: &'static [&'static str],
}

impl ChannelPass {
    fn spec(self) -> PassSpec {
        let reads = |maps, factors| PassSpec { maps, factors, statement: "", outputs: &[], sums: &[] };
        // NaN passes the gate, as on the CPU, so that it stays visible.
        const GATE: &str = "let gate = select(vec4f(1), vec4f(), scale * x + shift <= vec4f());";
        match self {
            Self::Affine => PassSpec { outputs: &[("y", "scale * x + shift")], ..reads(&["x"], &["scale", "shift"]) },
            Self::AffineRelu => PassSpec {
                statement: "let y = scale * x + shift;",
                outputs: &[("y", "select(y, vec4f(), y <= vec4f())")],
                ..reads(&["x"], &["scale", "shift"])
            },
            Self::AffineBackward => PassSpec {
                outputs: &[("dx", "scale * dy")],
                sums: &["x * dy", "dy"],
                ..reads(&["x", "dy"], &["scale"])
            },
            Self::AffineReluBackward => PassSpec {
                statement: GATE,
                outputs: &[("dx", "scale * gate * dy")],
                sums: &["x * gate * dy", "gate * dy"],
                ..reads(&["x", "dy"], &["scale", "shift"])
            },
            Self::Tangent => PassSpec {
                statement: GATE,
                outputs: &[("y", "gate * (a * t + b * x + c)")],
                ..reads(&["x", "t"], &["scale", "shift", "a", "b", "c"])
            },
            Self::TangentBackward => PassSpec {
                statement: GATE,
                outputs: &[("dx", "b * gate * dy"), ("dt", "a * gate * dy")],
                sums: &["t * gate * dy", "x * gate * dy", "gate * dy"],
                ..reads(&["x", "t", "dy"], &["scale", "shift", "a", "b"])
            },
            Self::Sum => PassSpec { sums: &["x"], ..reads(&["x"], &[]) },
            Self::SquaredDeviations => PassSpec { sums: &["(x - mean) * (x - mean)"], ..reads(&["x"], &["mean"]) },
            Self::CrossSums => PassSpec { sums: &["t", "x * t"], ..reads(&["x", "t"], &[]) },
        }
    }

    /// Returns whether all factors share one buffer. WebGPU guarantees only eight buffers.
    fn stacks_factors(self) -> bool {
        let PassSpec { maps, factors, outputs, sums, .. } = self.spec();
        maps.len() + factors.len() + outputs.len() + usize::from(!sums.is_empty()) > 8
    }
}

/// Result of a pass.
pub struct PassOutput {
    /// Feature maps `[B, H, W, C]` that were written.
    pub maps: Vec<CubeTensor>,
    /// Sums of each workgroup, `[workgroups, n C]`, and the shape `[n, C]` of the total.
    partial_sums: Option<(CubeTensor, [usize; 2])>,
}

impl PassOutput {
    /// Returns the first of the feature maps.
    ///
    /// # Panics
    /// If the pass writes no feature maps.
    pub fn into_map(mut self) -> CubeTensor {
        self.maps.swap_remove(0)
    }

    /// Adds the sums of all workgroups, `[n, C]`. The sums are added on demand, because attacks do not need them.
    ///
    /// # Panics
    /// If the pass has no sums.
    pub fn sums(&self) -> CubeTensor {
        let (parts, shape) = self.partial_sums.clone().expect("a pass with sums");
        Cube::float_reshape(sum_rows(parts), shape.into())
    }
}

/// Maximum of pixels of an image that a workgroup reads.
const MAX_PART: usize = 1024;
/// Threads of a workgroup.
const THREADS: usize = 256;

/// Runs a pass on feature maps `[B, H, W, C]`, C a multiple of 4, and factors `[C]`, both in the order of the pass.
pub fn run<const M: usize, const F: usize>(
    pass: ChannelPass,
    maps: [&CubeTensor; M],
    factors: [&CubeTensor; F],
) -> PassOutput {
    let shape = maps[0].shape().dims();
    let [batch, height, width, channels] = shape;
    let PassSpec { outputs, sums, .. } = pass.spec();
    let shader = ChannelShader { pass, pixels: height * width, part: MAX_PART.min(height * width), channels };
    let workgroups = [shader.pixels.div_ceil(shader.part), batch, shader.tiles()];
    let mut shapes = vec![shape.to_vec(); outputs.len()];
    if !sums.is_empty() {
        shapes.push(vec![workgroups[0] * batch, sums.len() * channels]);
    }
    let mut inputs = maps.map(|map| into_contiguous(map.clone())).to_vec();
    let factors = factors.map(|factor| into_contiguous(factor.clone())).to_vec();
    if pass.stacks_factors() {
        inputs.push(Cube::float_cat(factors, 0));
    } else {
        inputs.extend(factors);
    }
    let mut maps = shader::launch(shader, workgroups, inputs, shapes);
    let mut partial_sums = None;
    if !sums.is_empty() {
        partial_sums = maps.pop().map(|parts| (parts, [sums.len(), channels]));
    }
    PassOutput { maps, partial_sums }
}

/// Returns the sum of the rows of a matrix `[rows, columns]`, computed by one workgroup for each tile of columns.
pub fn sum_rows(matrix: CubeTensor) -> CubeTensor {
    let [rows, columns] = matrix.shape().dims();
    let shader = ChannelShader { pass: ChannelPass::Sum, pixels: rows, part: rows, channels: columns };
    let workgroups = [1, 1, shader.tiles()];
    shader::launch(shader, workgroups, vec![matrix], vec![vec![columns]]).swap_remove(0)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ChannelShader {
    pass: ChannelPass,
    /// Pixels of an image.
    pixels: usize,
    /// Pixels of an image that a workgroup reads.
    part: usize,
    channels: usize,
}

impl ChannelShader {
    /// Returns the columns of a workgroup; a column is a group of four channels.
    fn columns(&self) -> usize {
        power_of_two_divisor(self.channels / 4, 64)
    }

    /// Returns the number of workgroups that share the channels.
    fn tiles(&self) -> usize {
        self.channels / 4 / self.columns()
    }

    /// Returns the names of the buffers, in the order of [`shader::launch`].
    fn buffers(&self) -> Vec<String> {
        let PassSpec { maps, factors, outputs, sums, .. } = self.pass.spec();
        let mut buffers: Vec<String> = maps.iter().map(|map| format!("all_{map}")).collect();
        if self.pass.stacks_factors() {
            buffers.push("factors".to_owned());
        } else {
            buffers.extend(factors.iter().map(|factor| format!("all_{factor}")));
        }
        buffers.extend(outputs.iter().map(|(name, _)| format!("all_{name}")));
        if !sums.is_empty() {
            buffers.push("sums".to_owned());
        }
        buffers
    }
}

impl shader::Shader for ChannelShader {
    fn text(&self) -> String {
        let PassSpec { maps, factors, statement, outputs, sums } = self.pass.spec();
        let mut text = String::new();
        for (binding, name) in self.buffers().iter().enumerate() {
            text += &format!("@group(0) @binding({binding}) var<storage, read_write> {name}: array<vec4f>;\n");
        }
        let mut before_pixels = String::new();
        for (row, name) in factors.iter().enumerate() {
            before_pixels += &match self.pass.stacks_factors() {
                true => format!("let {name} = factors[{row} * DEPTH4 + column];\n"),
                false => format!("let {name} = all_{name}[column];\n"),
            };
        }
        for n in 0..sums.len() {
            before_pixels += &format!("var sum{n} = vec4f();\n");
        }
        let mut each_pixel = String::new();
        for name in maps {
            each_pixel += &format!("let {name} = all_{name}[at];\n");
        }
        each_pixel += statement;
        for (name, value) in outputs {
            each_pixel += &format!("all_{name}[at] = {value};\n");
        }
        for (n, value) in sums.iter().enumerate() {
            each_pixel += &format!("sum{n} += {value};\n");
        }
        let mut after_pixels = String::new();
        for n in 0..sums.len() {
            let at = format!("((group.y * groups.x + group.x) * {} + {n}) * DEPTH4 + column", sums.len());
            after_pixels +=
                &format!("let total{n} = total(thread, sum{n});\nif (row == 0u) {{ sums[{at}] = total{n}; }}\n");
        }
        text += &include_str!("channels.wgsl")
            .replace("//FACTORS", &before_pixels)
            .replace("//PIXEL", &each_pixel)
            .replace("//SUMS", &after_pixels);
        text
    }

    fn constants(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("PIXELS", self.pixels),
            ("PART", self.part),
            ("DEPTH4", self.channels / 4),
            ("COLUMNS", self.columns()),
            ("ROWS", THREADS / self.columns()),
        ]
    }

    fn repeats(&self) -> usize {
        1
    }

    fn threads(&self) -> usize {
        THREADS
    }
}
