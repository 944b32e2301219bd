//! Two-dimensional convolution and its two gradients on the CPU: `f32`, channels last `[B, H, W, C]`, odd square kernels
//! (padding k/2), any stride.
//!
//! With channels last, a tap of the kernel at a pixel is one run of input channels, and the output channels are vectors:
//! no pixel of padding is ever computed, whatever the size of the maps, and the inner loops run at the processor's peak.

use super::{
    correlate::Phase,
    maps::{Gate, Gradient, Maps, Tangent},
    memory,
    packed::{Order, Packed},
    profile, weight_gradient,
    window::{Units, Window},
    winograd::{self, Winograd},
};
use crate::platform::simd;

/// What is convolved: `[batch, h, w, cin]` with `[cout, cin, k, k]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    pub batch: usize,
    pub cin: usize,
    pub cout: usize,
    pub h: usize,
    pub w: usize,
    /// Odd; the padding is k/2.
    pub k: usize,
    pub stride: usize,
}

/// A convolution's weight, `[cout, cin, k, k]`, and its other orders.
#[derive(Clone, Copy)]
pub struct Weight<'a> {
    pub values: &'a [f32],
    pub packed: &'a Packed,
}

/// The gradients of what a convolution reads.
pub struct InputGradient {
    /// Of x, and with a tangent of t, `[batch, h, w, cin]`.
    pub dx: Vec<f32>,
    pub dt: Option<Vec<f32>>,
    /// Of the gate's factors a, b, c (b is the scale and c the shift if there is no tangent), `[cin]` each.
    pub factors: [Vec<f32>; 3],
}

impl Conv {
    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        [self.h.div_ceil(self.stride), self.w.div_ceil(self.stride)]
    }

    pub fn multiply_adds(&self) -> u64 {
        let [h, w] = self.output();
        (self.batch * h * w * self.cout * self.cin * self.k * self.k) as u64
    }

    /// `[batch, h, w, cin]`, `[cout, cin, k, k]` -> `[batch, h/stride, w/stride, cout]`, plus `residual`, of that shape.
    pub fn forward(&self, maps: &Maps, weight: Weight, residual: Option<&[f32]>) -> Vec<f32> {
        let _timed = profile::time("convolution", || (self.to_string(), self.multiply_adds()));
        let (s, [h, w]) = (self.stride, self.output());
        let plan = self.forward_plan(weight);
        let chunk = plan.units.pixels() * self.cout;
        let fill = |scratch: &mut Scratch, unit: usize, [y]: [&mut [f32]; 1]| {
            let [image, row] = plan.units.first(unit);
            let residual = residual.map(|residual| &residual[unit * chunk..][..y.len()]);
            let [next, next_t] = coming(maps, unit, plan.units.pixels() * s * s * self.cin);
            let first = (row * s) as isize - (self.k / 2) as isize;
            plan.run(maps, [image as isize, first], scratch, y, &[next, next_t, residual.unwrap_or_default()]);
            if let Some(residual) = residual {
                y.iter_mut().zip(residual).for_each(|(y, r)| *y += r);
            }
        };
        let ([y], _) = memory::fill(self.batch * h * w * self.cout, chunk, || plan.scratch(), fill);
        y
    }

    fn forward_plan(&self, Weight { values, packed }: Weight) -> Plan {
        let (k, cin, cout) = (self.k, self.cin, self.cout);
        let winograd = winograd::fits(self);
        let units = Units::new(self.batch, self.output(), if winograd { 2 } else { 1 });
        let window = self.window(&units);
        let weights_of = |o: usize, i: usize| &values[(o * cin + i) * k * k..][..k * k];
        let method = if winograd {
            let pack = || Winograd::pack([cin, cout], weights_of, |t| t);
            Method::Winograd(Winograd::new(window, &units, [cin, cout], packed.get(Order::ForwardWinograd, pack)))
        } else {
            let taps: Vec<_> = (0..k * k).map(|t| (t / k * window.row() + t % k * cin, t)).collect();
            let pixels = self.inputs(&units, &window).zip((0..).step_by(cout));
            let weights = packed.get(Order::Forward, || Phase::pack(&taps, [cin, cout], weights_of));
            let phase = Phase::new(&taps, [cin, cout], pixels, weights);
            Method::Direct(vec![(units.pixels() / units.images, phase)])
        };
        Plan { units, window, channels: cout, method }
    }

    /// The gradients of what was read, from that of the output, `dy`.
    pub fn input_gradient(&self, dy: &[f32], weight: Weight, maps: &Maps) -> InputGradient {
        let _timed = profile::time("input gradient", || (self.to_string(), self.multiply_adds()));
        let (s, cin) = (self.stride, self.cin);
        let plan = self.gradient_plan(weight);
        let dy = Maps { x: dy, gate: None };
        let chunk = plan.units.pixels() * cin;
        let correlate = |scratch: &mut Scratch, unit: usize, g: &mut [f32], dx: &mut [f32]| {
            let [image, row] = plan.units.first(unit);
            let pixels = unit * chunk..unit * chunk + g.len();
            let [next, _] = coming(&dy, unit, plan.units.pixels() * self.cout / (s * s));
            let gate = maps.gate.map(|gate| {
                let tangent = gate.tangent.map(|tangent| Tangent { t: &tangent.t[pixels.clone()], ..tangent });
                Gate { tangent, ..gate }
            });
            let x = if gate.is_some() { &maps.x[pixels] } else { &[] };
            let t = gate.and_then(|gate| gate.tangent).map_or(&[][..], |tangent| tangent.t);
            let first = (row / s) as isize - plan.window.left as isize;
            plan.run(&dy, [image as isize, first], scratch, g, &[next, x, t]);
            let Some(gate) = gate else { return Vec::new() };
            let mut sums = vec![0.0; 3 * cin];
            simd::run(Gradient { gate, x, channels: cin, g, dx, sums: &mut sums });
            sums
        };
        let (n, scratch) = (self.batch * self.h * self.w * cin, || plan.scratch());
        let (dx, dt, sums) = if maps.gate.is_some_and(|gate| gate.tangent.is_some()) {
            let ([dt, dx], sums) = memory::fill(n, chunk, scratch, |s, unit, [g, dx]| correlate(s, unit, g, dx));
            (dx, Some(dt), sums)
        } else {
            let ([dx], sums) = memory::fill(n, chunk, scratch, |s, unit, [g]| correlate(s, unit, g, &mut []));
            (dx, None, sums)
        };
        let factors = [0, 1, 2].map(|row| {
            let of_channel = |i: usize| sums.iter().map(|s| f64::from(s[row * cin + i])).sum::<f64>() as f32;
            if maps.gate.is_some() { (0..cin).map(of_channel).collect() } else { Vec::new() }
        });
        InputGradient { dx, dt, factors }
    }

    /// It is a convolution too: the input pixels of one remainder by the stride see the same taps.
    fn gradient_plan(&self, Weight { values, packed }: Weight) -> Plan {
        let (k, s, pad, cin, cout) = (self.k, self.stride, self.k / 2, self.cin, self.cout);
        let [h, w] = self.output();
        let winograd = winograd::fits(self);
        let units = Units::new(self.batch, [self.h, self.w], if winograd { 2 } else { s });
        // Input row r sees the output rows (r + pad - ky) / s; so the first row (or column) of a unit that begins at 0
        // looks back by this many output rows, and its last one, number n - 1, reaches this one.
        let back = (k - 1 - pad).div_euclid(s);
        let last = |n: usize| (n - 1 + pad) / s;
        let window = Window {
            source: [h, w, cout],
            images: units.images,
            rows: back + last(units.rows) + 1,
            columns: back + last(self.w) + 1,
            left: back,
        };
        let weights_of = |o: usize, i: usize| &values[(i * cin + o) * k * k..][..k * k];
        if winograd {
            let pack = || Winograd::pack([cout, cin], weights_of, |t| k * k - 1 - t);
            let weights = packed.get(Order::GradientWinograd, pack);
            let winograd = Winograd::new(window, &units, [cout, cin], weights);
            return Plan { units, window, channels: cin, method: Method::Winograd(winograd) };
        }
        let reach = |first: usize| (0..k).filter(move |ky| (first + pad + s * k - ky).is_multiple_of(s));
        let distance = |first: usize, ky: usize| (first + pad + s * back - ky) / s;
        let phase = |[a, b]: [usize; 2]| {
            let taps = reach(a).flat_map(|ky| reach(b).map(move |kx| (ky, kx)));
            let at = |(ky, kx)| (distance(a, ky) * window.row() + distance(b, kx) * cout, ky * k + kx);
            let mut taps: Vec<_> = taps.map(at).collect();
            taps.sort_unstable();
            let rows = move |size: usize, first: usize| 0..size.saturating_sub(first).div_ceil(s);
            let pixels = (0..units.images).flat_map(|n| rows(units.rows, a).map(move |y| (n, y)));
            let pixels = pixels.flat_map(|(n, y)| rows(self.w, b).map(move |x| (n, y, x)));
            let pixels = pixels.map(|(n, y, x)| {
                let input = n * window.image() + y * window.row() + x * cout;
                (input, ((n * units.rows + y * s + a) * self.w + x * s + b) * cin)
            });
            let per_image = rows(units.rows, a).len() * rows(self.w, b).len();
            let pack = || Phase::pack(&taps, [cout, cin], weights_of);
            let weights = packed.get(Order::Gradient(a * s + b), pack);
            (per_image, Phase::new(&taps, [cout, cin], pixels, weights))
        };
        let firsts = (0..s).flat_map(|a| (0..s).map(move |b| [a, b]));
        Plan { units, window, channels: cin, method: Method::Direct(firsts.map(phase).collect()) }
    }

    /// The gradient of the weight, `[cout, cin, k, k]`, from that of the output, `dy`.
    pub fn weight_gradient(&self, maps: &Maps, dy: &[f32]) -> Vec<f32> {
        let _timed = profile::time("weight gradient", || (self.to_string(), self.multiply_adds()));
        if winograd::fits(self) {
            winograd::weight_gradient(self, maps, dy)
        } else {
            weight_gradient::run(self, maps, dy)
        }
    }

    /// What the units of the output look at.
    pub(super) fn window(&self, units: &Units) -> Window {
        let reach = |n: usize| (n - 1) * self.stride + self.k;
        Window {
            source: [self.h, self.w, self.cin],
            images: units.images,
            rows: reach(units.rows),
            columns: reach(units.size[1]),
            left: self.k / 2,
        }
    }

    /// Where in the window the first tap of each output pixel of a unit begins.
    pub(super) fn inputs(&self, units: &Units, window: &Window) -> impl Iterator<Item = usize> {
        let ([_, w], rows, s, cin) = (units.size, units.rows, self.stride, self.cin);
        let (image, row) = (window.image(), window.row());
        (0..units.pixels()).map(move |i| i / (rows * w) * image + i / w % rows * s * row + i % w * s * cin)
    }
}

/// How a convolution or its input gradient is computed, unit by unit.
struct Plan {
    units: Units,
    window: Window,
    /// Of the output.
    channels: usize,
    method: Method,
}

enum Method {
    /// Every phase, and how many pixels of an image of a unit it has.
    Direct(Vec<(usize, Phase)>),
    Winograd(Winograd),
}

/// What a thread needs: the window, and more for some methods.
struct Scratch {
    window: Vec<f32>,
    winograd: Option<winograd::Scratch>,
}

impl Plan {
    fn scratch(&self) -> Scratch {
        let winograd = if let Method::Winograd(winograd) = &self.method { Some(winograd.scratch()) } else { None };
        Scratch { window: vec![0.0; self.window.len()], winograd }
    }

    /// Writes the outputs of the unit whose window begins at this image and row of `maps`, and meanwhile fetches what is
    /// `ahead`.
    fn run(&self, maps: &Maps, [image, row]: [isize; 2], scratch: &mut Scratch, out: &mut [f32], ahead: &[&[f32]]) {
        let images = (out.len() / self.channels).div_ceil(self.units.pixels() / self.units.images);
        let window = &mut scratch.window[..images * self.window.image()];
        self.window.fill(maps, image as usize, row, window);
        match (&self.method, &mut scratch.winograd) {
            (Method::Winograd(winograd), Some(scratch)) => winograd.run(window, images, scratch, out, ahead),
            (Method::Winograd(_), None) => unreachable!("scratch is made by the same plan"),
            (Method::Direct(phases), _) => {
                for (i, (pixels, phase)) in phases.iter().enumerate() {
                    phase.run(window, images * pixels, out, if i == 0 { ahead } else { &[] });
                }
            }
        }
    }
}

/// What the unit after `unit` will read of some maps, if a unit reads `n` floats or a little more.
fn coming<'a>(maps: &Maps<'a>, unit: usize, n: usize) -> [&'a [f32]; 2] {
    let part = |from: &'a [f32]| &from[((unit + 1) * n).min(from.len())..((unit + 2) * n).min(from.len())];
    let tangent = maps.gate.and_then(|gate| gate.tangent);
    [part(maps.x), tangent.map_or(&[], |tangent| part(tangent.t))]
}

impl std::fmt::Display for Conv {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { batch, cin, cout, h, w, k, stride } = self;
        write!(f, "{batch} x {h}x{w}, {cin} -> {cout}, {k}x{k}/{stride}")
    }
}
