//! Normalization, ReLU, their gradients and moments: passes over maps with factors for each channel, some of which also
//! give sums over all pixels. [`channels.wgsl`](./channels.wgsl).

use burn::backend::{Cube, TensorMetadata, ops::FloatTensorOps};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

use super::{power_of_two, shader};

/// What a pass computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// scale x + shift.
    Affine,
    /// Its positive part.
    Activate,
    /// From x and dy: the gradient of x, and the sums of the gradients of scale and shift.
    AffineBack,
    ActivateBack,
    /// a t + b x + c where scale x + shift is positive.
    Tangent,
    /// From x, t and dy: the gradients of x and t, and the sums of those of a, b and c.
    TangentBack,
    /// The sum of x.
    Sum,
    /// The sum of the squared distances from the mean.
    Spread,
    /// The sums of t and x t.
    Cross,
}

struct Parts {
    /// Maps that are read.
    maps: &'static [&'static str],
    /// A value for each channel.
    factors: &'static [&'static str],
    before: &'static str,
    /// Maps that are written, and what.
    written: &'static [(&'static str, &'static str)],
    /// What is summed over all pixels of a channel.
    summed: &'static [&'static str],
}

impl Pass {
    fn parts(self) -> Parts {
        let parts = |maps, factors| Parts { maps, factors, before: "", written: &[], summed: &[] };
        // What is no number passes as on the CPU: it must not be hidden.
        const GATE: &str = "let gate = select(vec4f(1), vec4f(), scale * x + shift <= vec4f());";
        match self {
            Self::Affine => Parts { written: &[("y", "scale * x + shift")], ..parts(&["x"], &["scale", "shift"]) },
            Self::Activate => Parts {
                before: "let y = scale * x + shift;",
                written: &[("y", "select(y, vec4f(), y <= vec4f())")],
                ..parts(&["x"], &["scale", "shift"])
            },
            Self::AffineBack => {
                Parts { written: &[("dx", "scale * dy")], summed: &["x * dy", "dy"], ..parts(&["x", "dy"], &["scale"]) }
            }
            Self::ActivateBack => Parts {
                before: GATE,
                written: &[("dx", "scale * gate * dy")],
                summed: &["x * gate * dy", "gate * dy"],
                ..parts(&["x", "dy"], &["scale", "shift"])
            },
            Self::Tangent => Parts {
                before: GATE,
                written: &[("y", "gate * (a * t + b * x + c)")],
                ..parts(&["x", "t"], &["scale", "shift", "a", "b", "c"])
            },
            Self::TangentBack => Parts {
                before: GATE,
                written: &[("dx", "b * gate * dy"), ("dt", "a * gate * dy")],
                summed: &["t * gate * dy", "x * gate * dy", "gate * dy"],
                ..parts(&["x", "t", "dy"], &["scale", "shift", "a", "b"])
            },
            Self::Sum => Parts { summed: &["x"], ..parts(&["x"], &[]) },
            Self::Spread => Parts { summed: &["(x - mean) * (x - mean)"], ..parts(&["x"], &["mean"]) },
            Self::Cross => Parts { summed: &["t", "x * t"], ..parts(&["x", "t"], &[]) },
        }
    }

    /// Whether factors come in one buffer: WebGPU promises no more than eight.
    fn stacked(self) -> bool {
        let Parts { maps, factors, written, summed, .. } = self.parts();
        maps.len() + factors.len() + written.len() + usize::from(!summed.is_empty()) > 8
    }
}

/// What a pass gives.
pub struct Passed {
    pub maps: Vec<CubeTensor>,
    /// What each workgroup has summed, `[workgroups, n C]`, and `[n, C]`.
    parts: Option<(CubeTensor, [usize; 2])>,
}

impl Passed {
    pub fn only_maps(mut self) -> CubeTensor {
        self.maps.swap_remove(0)
    }

    /// The sums of a pass that has some, `[n, C]`. Not added up before somebody asks: attacks never do.
    pub fn sums(&self) -> CubeTensor {
        let (parts, shape) = self.parts.clone().expect("the pass sums");
        Cube::float_reshape(sum_rows(parts), shape.into())
    }
}

/// Pixels of an image that a workgroup takes.
const PART: usize = 1024;
const THREADS: usize = 256;

/// Runs a pass over maps `[B, H, W, C]`, C a multiple of 4; factors `[C]` each.
pub fn run<const M: usize, const F: usize>(pass: Pass, maps: [&CubeTensor; M], factors: [&CubeTensor; F]) -> Passed {
    let shape = maps[0].shape().dims();
    let [batch, height, width, channels] = shape;
    let Parts { written, summed, .. } = pass.parts();
    let shader = Channels { pass, pixels: height * width, part: PART.min(height * width), channels };
    let groups = [shader.pixels.div_ceil(shader.part), batch, shader.tiles()];
    let mut shapes = vec![shape.to_vec(); written.len()];
    if !summed.is_empty() {
        shapes.push(vec![groups[0] * batch, summed.len() * channels]);
    }
    let mut inputs = maps.map(|map| into_contiguous(map.clone())).to_vec();
    let factors = factors.map(|factor| into_contiguous(factor.clone())).to_vec();
    if pass.stacked() {
        inputs.push(Cube::float_cat(factors, 0));
    } else {
        inputs.extend(factors);
    }
    let mut maps = shader::launch(shader, groups, inputs, shapes);
    let parts = (!summed.is_empty()).then(|| maps.pop()).flatten().map(|parts| (parts, [summed.len(), channels]));
    Passed { maps, parts }
}

/// The sum over the rows of a matrix, by one workgroup for each tile of columns.
pub fn sum_rows(matrix: CubeTensor) -> CubeTensor {
    let [rows, columns] = matrix.shape().dims();
    let shader = Channels { pass: Pass::Sum, pixels: rows, part: rows, channels: columns };
    let groups = [1, 1, shader.tiles()];
    shader::launch(shader, groups, vec![matrix], vec![vec![columns]]).swap_remove(0)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Channels {
    pass: Pass,
    /// Pixels of an image, and of those how many a workgroup takes.
    pixels: usize,
    part: usize,
    channels: usize,
}

impl Channels {
    /// Quads of channels of a workgroup.
    fn columns(&self) -> usize {
        power_of_two(self.channels / 4, 64)
    }

    fn tiles(&self) -> usize {
        self.channels / 4 / self.columns()
    }
}

impl shader::Shader for Channels {
    fn text(&self) -> String {
        let Parts { maps, factors, before, written, summed } = self.pass.parts();
        let mut buffers = maps.iter().map(|map| format!("all_{map}")).collect::<Vec<_>>();
        if self.pass.stacked() {
            buffers.push("factors".to_owned());
        } else {
            buffers.extend(factors.iter().map(|factor| format!("all_{factor}")));
        }
        buffers.extend(written.iter().map(|(name, _)| format!("all_{name}")));
        buffers.extend((!summed.is_empty()).then(|| "sums".to_owned()));
        let buffers = buffers.iter().enumerate().map(|(binding, name)| {
            format!("@group(0) @binding({binding}) var<storage, read_write> {name}: array<vec4f>;\n")
        });
        let factors = factors.iter().enumerate();
        let factors = factors.map(|(row, name)| match self.pass.stacked() {
            true => format!("let {name} = factors[{row} * DEPTH4 + column];\n"),
            false => format!("let {name} = all_{name}[column];\n"),
        });
        let zeros = (0..summed.len()).map(|n| format!("var sum{n} = vec4f();\n"));
        let maps = maps.iter().map(|name| format!("let {name} = all_{name}[at];\n"));
        let written = written.iter().map(|(name, value)| format!("all_{name}[at] = {value};\n"));
        let added = summed.iter().enumerate().map(|(n, value)| format!("sum{n} += {value};\n"));
        let sums = (0..summed.len()).map(|n| {
            let at = format!("((group.y * groups.x + group.x) * {} + {n}) * DEPTH4 + column", summed.len());
            format!("let total{n} = total(thread, sum{n});\nif (row == 0u) {{ sums[{at}] = total{n}; }}\n")
        });
        let each = maps.chain([before.to_owned()]).chain(written).chain(added).collect::<String>();
        let text = include_str!("channels.wgsl")
            .replace("//FACTORS", &factors.chain(zeros).collect::<String>())
            .replace("//EACH", &each)
            .replace("//SUMS", &sums.collect::<String>());
        buffers.collect::<String>() + &text
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
