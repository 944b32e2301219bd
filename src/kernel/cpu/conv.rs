//! Two-dimensional convolution and its two gradients on the CPU: float32, NHWC layout `[B, H, W, C]`, odd square
//! kernels with padding k/2, any stride.
//!
//! In NHWC layout, the input of one tap (one of the k x k positions of the kernel) at one pixel is a contiguous run of
//! channels, and output channels fill whole vectors. Padding pixels are never computed, and the inner loops run at peak
//! rate for feature maps of any size.

use super::{
    correlate::Phase,
    fused_input::{FeatureMaps, GateGradient, GateTangent, ReluGate},
    parallel, profile, weight_gradient,
    weight_layouts::{Layout, WeightLayouts},
    window::{PaddedWindow, WorkUnits},
    winograd::{self, Winograd},
};
use crate::platform::simd;

/// Dimensions of a convolution of `[batch, h, w, cin]` with `[cout, cin, k, k]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvDims {
    /// Images.
    pub batch: usize,
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Kernel size, odd; the padding is k/2.
    pub k: usize,
    /// Stride in both directions.
    pub stride: usize,
}

/// Weight of a convolution, `[cout, cin, k, k]`, with its cached layouts.
#[derive(Clone, Copy)]
pub struct WeightSlice<'a> {
    /// `[cout, cin, k, k]`.
    pub values: &'a [f32],
    /// Other layouts of the values.
    pub layouts: &'a WeightLayouts,
}

/// Gradients of the input of a convolution.
pub struct InputGradient {
    /// Gradient of x, `[batch, h, w, cin]`.
    pub dx: Vec<f32>,
    /// Gradient of the tangent t, `[batch, h, w, cin]`, if there is a tangent.
    pub dt: Option<Vec<f32>>,
    /// Gradients of the gate's a, b and c, `[cin]` each. Without a tangent b is the scale and c the shift. Empty
    /// without gate.
    pub factors: [Vec<f32>; 3],
}

impl ConvDims {
    /// Returns height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        [self.h.div_ceil(self.stride), self.w.div_ceil(self.stride)]
    }

    /// Returns the number of multiply-adds of a direct convolution.
    pub fn multiply_adds(&self) -> u64 {
        let [h, w] = self.output();
        (self.batch * h * w * self.cout * self.cin * self.k * self.k) as u64
    }

    /// Convolves `[batch, h, w, cin]` with `[cout, cin, k, k]` and adds `residual`. Returns
    /// `[batch, h/stride, w/stride, cout]`, which is also the shape of `residual`.
    pub fn forward(&self, maps: &FeatureMaps, weight: WeightSlice, residual: Option<&[f32]>) -> Vec<f32> {
        let _timer = profile::time("convolution", || (self.to_string(), self.multiply_adds()));
        let (s, [h, w]) = (self.stride, self.output());
        let plan = self.forward_plan(weight);
        let chunk = plan.units.pixels() * self.cout;
        let fill = |scratch: &mut PlanScratch, unit: usize, [y]: [&mut [f32]; 1]| {
            let [image, row] = plan.units.first(unit);
            let residual = residual.map(|residual| &residual[unit * chunk..][..y.len()]);
            let [next_x, next_t] = next_unit(maps, unit, plan.units.pixels() * s * s * self.cin);
            let first = (row * s) as isize - (self.k / 2) as isize;
            let prefetch = [next_x, next_t, residual.unwrap_or_default()];
            plan.run(maps, [image as isize, first], scratch, y, &prefetch);
            if let Some(residual) = residual {
                y.iter_mut().zip(residual).for_each(|(y, r)| *y += r);
            }
        };
        let ([y], _) = parallel::fill(self.batch * h * w * self.cout, chunk, || plan.scratch(), fill);
        y
    }

    fn forward_plan(&self, WeightSlice { values, layouts }: WeightSlice) -> Plan {
        let (k, cin, cout) = (self.k, self.cin, self.cout);
        let winograd = winograd::supports(self);
        let units = WorkUnits::new(self.batch, self.output(), if winograd { 2 } else { 1 });
        let window = self.window(&units);
        let weights_of = |o: usize, i: usize| &values[(o * cin + i) * k * k..][..k * k];
        let algorithm = if winograd {
            let pack = || Winograd::pack([cin, cout], weights_of, |t| t);
            let weights = layouts.get(Layout::ForwardWinograd, pack);
            Algorithm::Winograd(Winograd::new(window, &units, [cin, cout], weights))
        } else {
            let taps: Vec<_> = (0..k * k).map(|t| (t / k * window.row_len() + t % k * cin, t)).collect();
            let pixels = self.input_offsets(&units, &window).zip((0..).step_by(cout));
            let weights = layouts.get(Layout::Forward, || Phase::pack(&taps, [cin, cout], weights_of));
            let phase = Phase::new(&taps, [cin, cout], pixels, weights);
            Algorithm::Direct(vec![(units.pixels() / units.images, phase)])
        };
        Plan { units, window, channels: cout, algorithm }
    }

    /// Computes the gradients of the input from the gradient of the output, `dy`.
    pub fn input_gradient(&self, dy: &[f32], weight: WeightSlice, maps: &FeatureMaps) -> InputGradient {
        let _timer = profile::time("input gradient", || (self.to_string(), self.multiply_adds()));
        let (s, cin) = (self.stride, self.cin);
        let plan = self.gradient_plan(weight);
        let dy = FeatureMaps { x: dy, gate: None };
        let chunk = plan.units.pixels() * cin;
        let correlate = |scratch: &mut PlanScratch, unit: usize, g: &mut [f32], dx: &mut [f32]| {
            let [image, row] = plan.units.first(unit);
            let pixels = unit * chunk..unit * chunk + g.len();
            let [next_dy, _] = next_unit(&dy, unit, plan.units.pixels() * self.cout / (s * s));
            let gate = maps.gate.map(|gate| {
                let tangent = gate.tangent.map(|tangent| GateTangent { t: &tangent.t[pixels.clone()], ..tangent });
                ReluGate { tangent, ..gate }
            });
            let x = if gate.is_some() { &maps.x[pixels] } else { &[] };
            let t = gate.and_then(|gate| gate.tangent).map_or(&[][..], |tangent| tangent.t);
            let first = (row / s) as isize - plan.window.left as isize;
            plan.run(&dy, [image as isize, first], scratch, g, &[next_dy, x, t]);
            let Some(gate) = gate else { return Vec::new() };
            let mut sums = vec![0.0; 3 * cin];
            simd::run(GateGradient { gate, x, channels: cin, g, dx, sums: &mut sums });
            sums
        };
        let (n, scratch) = (self.batch * self.h * self.w * cin, || plan.scratch());
        let (dx, dt, sums) = if maps.gate.is_some_and(|gate| gate.tangent.is_some()) {
            let ([dt, dx], sums) = parallel::fill(n, chunk, scratch, |s, unit, [g, dx]| correlate(s, unit, g, dx));
            (dx, Some(dt), sums)
        } else {
            let ([dx], sums) = parallel::fill(n, chunk, scratch, |s, unit, [g]| correlate(s, unit, g, &mut []));
            (dx, None, sums)
        };
        let factors = [0, 1, 2].map(|row| {
            let channel_sum = |i: usize| sums.iter().map(|s| f64::from(s[row * cin + i])).sum::<f64>() as f32;
            if maps.gate.is_some() { (0..cin).map(channel_sum).collect() } else { Vec::new() }
        });
        InputGradient { dx, dt, factors }
    }

    /// Plans the input gradient. It is a convolution of `dy`: all input pixels with the same coordinates modulo the
    /// stride (a phase) use the same taps.
    fn gradient_plan(&self, WeightSlice { values, layouts }: WeightSlice) -> Plan {
        let (k, s, pad, cin, cout) = (self.k, self.stride, self.k / 2, self.cin, self.cout);
        let [h, w] = self.output();
        let winograd = winograd::supports(self);
        let units = WorkUnits::new(self.batch, [self.h, self.w], if winograd { 2 } else { s });
        // Input row r contributes to the output rows (r + pad - ky) / s. So the first row (or column) of a unit, at a
        // multiple of s, needs `back` output rows before its own, and row n - 1 of the unit needs rows up to `last(n)`.
        let back = (k - 1 - pad).div_euclid(s);
        let last = |n: usize| (n - 1 + pad) / s;
        let window = PaddedWindow {
            source: [h, w, cout],
            images: units.images,
            rows: back + last(units.rows) + 1,
            columns: back + last(self.w) + 1,
            left: back,
        };
        let weights_of = |o: usize, i: usize| &values[(i * cin + o) * k * k..][..k * k];
        if winograd {
            let pack = || Winograd::pack([cout, cin], weights_of, |t| k * k - 1 - t);
            let weights = layouts.get(Layout::InputGradientWinograd, pack);
            let winograd = Winograd::new(window, &units, [cout, cin], weights);
            return Plan { units, window, channels: cin, algorithm: Algorithm::Winograd(winograd) };
        }
        let phases = (0..s).flat_map(|a| (0..s).map(move |b| [a, b]));
        let phase = |[a, b]: [usize; 2]| {
            let kernel_rows = |first: usize| (0..k).filter(move |ky| (first + pad + s * k - ky).is_multiple_of(s));
            let output_row = |first: usize, ky: usize| (first + pad + s * back - ky) / s;
            let taps = kernel_rows(a).flat_map(|ky| kernel_rows(b).map(move |kx| (ky, kx)));
            let offset_and_index =
                |(ky, kx)| (output_row(a, ky) * window.row_len() + output_row(b, kx) * cout, ky * k + kx);
            let mut taps: Vec<_> = taps.map(offset_and_index).collect();
            taps.sort_unstable();
            let rows = move |size: usize, first: usize| 0..size.saturating_sub(first).div_ceil(s);
            let pixels = (0..units.images).flat_map(|n| rows(units.rows, a).map(move |y| (n, y)));
            let pixels = pixels.flat_map(|(n, y)| rows(self.w, b).map(move |x| (n, y, x)));
            let pixels = pixels.map(|(n, y, x)| {
                let input = n * window.image_len() + y * window.row_len() + x * cout;
                (input, ((n * units.rows + y * s + a) * self.w + x * s + b) * cin)
            });
            let pixels_per_image = rows(units.rows, a).len() * rows(self.w, b).len();
            let pack = || Phase::pack(&taps, [cout, cin], weights_of);
            let weights = layouts.get(Layout::InputGradient(a * s + b), pack);
            (pixels_per_image, Phase::new(&taps, [cout, cin], pixels, weights))
        };
        Plan { units, window, channels: cin, algorithm: Algorithm::Direct(phases.map(phase).collect()) }
    }

    /// Computes the gradient of the weight, `[cout, cin, k, k]`, from the gradient of the output, `dy`.
    pub fn weight_gradient(&self, maps: &FeatureMaps, dy: &[f32]) -> Vec<f32> {
        let _timer = profile::time("weight gradient", || (self.to_string(), self.multiply_adds()));
        if winograd::supports(self) {
            winograd::weight_gradient(self, maps, dy)
        } else {
            weight_gradient::run(self, maps, dy)
        }
    }

    /// Returns the shape of the input window of a unit of output pixels.
    pub(super) fn window(&self, units: &WorkUnits) -> PaddedWindow {
        let input_size = |n: usize| (n - 1) * self.stride + self.k;
        PaddedWindow {
            source: [self.h, self.w, self.cin],
            images: units.images,
            rows: input_size(units.rows),
            columns: input_size(units.size[1]),
            left: self.k / 2,
        }
    }

    /// Returns, for each output pixel of a unit, the offset of its first tap in the window.
    pub(super) fn input_offsets(&self, units: &WorkUnits, window: &PaddedWindow) -> impl Iterator<Item = usize> {
        let ([_, w], rows, s, cin) = (units.size, units.rows, self.stride, self.cin);
        let (image_len, row_len) = (window.image_len(), window.row_len());
        (0..units.pixels()).map(move |i| i / (rows * w) * image_len + i / w % rows * s * row_len + i % w * s * cin)
    }
}

/// Prepared computation of a convolution or of an input gradient, unit by unit.
struct Plan {
    units: WorkUnits,
    window: PaddedWindow,
    /// Output channels.
    channels: usize,
    algorithm: Algorithm,
}

enum Algorithm {
    /// All phases, each with its number of pixels per image of a unit.
    Direct(Vec<(usize, Phase)>),
    Winograd(Winograd),
}

/// Working memory of a thread.
struct PlanScratch {
    window: Vec<f32>,
    winograd: Option<winograd::Scratch>,
}

impl Plan {
    fn scratch(&self) -> PlanScratch {
        let winograd =
            if let Algorithm::Winograd(winograd) = &self.algorithm { Some(winograd.scratch()) } else { None };
        PlanScratch { window: vec![0.0; self.window.len()], winograd }
    }

    /// Writes the outputs of one unit, whose window starts at this image and row of `maps`. The slices of `prefetch`,
    /// which are needed next, are prefetched during the computation.
    fn run(
        &self,
        maps: &FeatureMaps,
        [image, row]: [isize; 2],
        scratch: &mut PlanScratch,
        out: &mut [f32],
        prefetch: &[&[f32]],
    ) {
        let images = (out.len() / self.channels).div_ceil(self.units.pixels() / self.units.images);
        let window = &mut scratch.window[..images * self.window.image_len()];
        self.window.fill(maps, image as usize, row, window);
        match (&self.algorithm, &mut scratch.winograd) {
            (Algorithm::Winograd(winograd), Some(scratch)) => winograd.run(window, images, scratch, out, prefetch),
            (Algorithm::Winograd(_), None) => unreachable!("the plan that makes the scratch also uses it"),
            (Algorithm::Direct(phases), _) => {
                for (i, (pixels, phase)) in phases.iter().enumerate() {
                    phase.run(window, images * pixels, out, if i == 0 { prefetch } else { &[] });
                }
            }
        }
    }
}

/// Returns the input (x and tangent) of the unit after `unit`, for units that read about `n` floats each.
fn next_unit<'a>(maps: &FeatureMaps<'a>, unit: usize, n: usize) -> [&'a [f32]; 2] {
    let part = |from: &'a [f32]| &from[((unit + 1) * n).min(from.len())..((unit + 2) * n).min(from.len())];
    let tangent = maps.gate.and_then(|gate| gate.tangent);
    [part(maps.x), tangent.map_or(&[], |tangent| part(tangent.t))]
}

impl std::fmt::Display for ConvDims {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { batch, cin, cout, h, w, k, stride } = self;
        write!(f, "{batch} x {h}x{w}, {cin} -> {cout}, {k}x{k}/{stride}")
    }
}
