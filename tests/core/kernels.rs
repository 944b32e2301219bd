//! Comparison of a device's kernels with burn's own operations on the CPU.

use std::cell::RefCell;

use burn::tensor::{Device, Tensor, TensorData, module, ops::ConvOptions};
use otjr::{
    kernel::{self, Weight},
    random::{Stream, StreamId, stream, uniform},
};

/// Output, input gradient and weight gradient of `sum(conv(x, w) * r)`.
pub type Results = [Vec<f32>; 3];

pub fn run(conv: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>, x: &Tensor<4>, w: &Tensor<4>, r: &Tensor<4>) -> Results {
    let (x, w) = (x.clone().require_grad(), w.clone().require_grad());
    let y = conv(x.clone(), w.clone());
    let gradients = (y.clone() * r.clone()).sum().backward();
    [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()].map(floats)
}

/// Returns burn's convolution with padding k/2.
pub fn burn_conv2d(stride: usize) -> impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4> {
    move |x, w| {
        let pad = w.dims()[2] / 2;
        module::conv2d(x, w, None, ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1))
    }
}

/// Returns the convolution of the kernels of `device`.
pub fn kernel_conv2d(device: &Device, stride: usize) -> impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4> {
    move |x, w| {
        let home = x.device();
        let (x, w) = (moved(x, device), moved(w, device));
        kernel::maps_to_images(kernel::conv2d(kernel::images_to_maps(x), &Weight::new(w), stride, None))
            .to_device(&home)
    }
}

/// Moves a tensor to `device`; the result is tracked if the tensor is.
pub fn moved<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    let device = if tensor.device().is_autodiff() { device.clone().autodiff() } else { device.clone() };
    tensor.to_device(&device)
}

thread_local! {
    /// Random numbers of the thread. Each test runs in its own thread, so its numbers are the same in every run.
    static DRAWS: RefCell<Stream> = RefCell::new(stream(0, StreamId::Synthetic, 0));
}

fn random(shape: [usize; 4]) -> Tensor<4> {
    let values = DRAWS.with_borrow_mut(|draws| uniform(draws, shape.iter().product(), -1.0, 1.0));
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// Returns a random input, weight, and factor of the output.
pub fn operands([cin, cout, size]: [usize; 3], k: usize, stride: usize, batch: usize) -> [Tensor<4>; 3] {
    let out = size.div_ceil(stride);
    [random([batch, cin, size, size]), random([cout, cin, k, k]), random([batch, cout, out, out])]
}

/// Compares two results. Each value is a sum of `terms` terms of about 1. If they cancel, the rounding error of the
/// partial sums remains.
pub fn assert_close(actual: &[f32], expected: &[f32], terms: usize, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |m, b| m.max(b.abs()));
    let error = actual.iter().zip(expected).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    let scale = largest.max((terms as f32).sqrt());
    assert!(error <= 1e-5 * scale, "{what}: {error} of {largest}");
}

fn floats<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_to_vec::<f32>().unwrap()
}

fn channel(c: usize) -> Tensor<1> {
    random([c, 1, 1, 1]).reshape([c])
}

fn per_channel(values: Tensor<1>) -> Tensor<4> {
    let [c] = values.dims();
    values.reshape([1, c, 1, 1])
}

fn mean(x: Tensor<4>) -> Tensor<1> {
    let [_, c, _, _] = x.dims();
    x.mean_dims(&[0, 2, 3]).reshape([c])
}

/// Returns the value of `f(maps, vectors)`, and the gradients of all operands of `sum(f(maps, vectors) * r)`.
fn value_and_gradients(
    device: &Device,
    f: impl Fn(Vec<Tensor<4>>, Vec<Tensor<1>>) -> Tensor<4>,
    maps: &[Tensor<4>],
    vectors: &[Tensor<1>],
    r: &Tensor<4>,
) -> Vec<Vec<f32>> {
    let maps: Vec<_> = maps.iter().map(|t| t.clone().require_grad()).collect();
    let vectors: Vec<_> = vectors.iter().map(|t| t.clone().require_grad()).collect();
    let there = |t: &Tensor<4>| moved(t.clone(), device);
    let y = f(maps.iter().map(there).collect(), vectors.iter().map(|t| moved(t.clone(), device)).collect());
    let y = y.to_device(&r.device());
    let gradients = (y.clone() * r.clone()).sum().backward();
    let mut all = vec![floats(y.inner())];
    all.extend(maps.iter().map(|t| floats(t.grad(&gradients).unwrap())));
    all.extend(vectors.iter().map(|t| floats(t.grad(&gradients).unwrap())));
    all
}

/// Batch, input channels, output channels, height and width, kernel size, stride.
const SHAPES: [[usize; 6]; 7] = [
    [1, 3, 16, 32, 3, 1],
    [2, 16, 16, 5, 3, 1],
    [9, 20, 8, 8, 3, 2],
    [3, 7, 24, 1, 1, 1],
    [5, 16, 32, 9, 1, 2],
    [2, 16, 40, 32, 3, 2],
    [17, 64, 64, 4, 3, 1],
];

pub fn convolution_and_gradients_match_burn(device: &Device) {
    for channels in [[3, 16], [16, 20], [20, 3], [64, 64]] {
        for size in [32, 16, 8, 5, 4, 1] {
            for (k, stride) in [(3, 1), (3, 2), (1, 1), (1, 2)] {
                for batch in [1, 2, 9] {
                    let [x, w, r] = operands([channels[0], channels[1], size], k, stride, batch);
                    let what = format!("{channels:?} @{size} k{k} s{stride} b{batch}");
                    for (actual, expected) in
                        run(kernel_conv2d(device, stride), &x, &w, &r).iter().zip(&run(burn_conv2d(stride), &x, &w, &r))
                    {
                        assert_close(actual, expected, 1, &what);
                    }
                }
            }
        }
    }
}

pub fn images_may_be_rectangular_and_strided(device: &Device) {
    let x = random([2, 7, 9, 5]).permute([0, 3, 1, 2]);
    let w = random([3, 3, 6, 5]).permute([2, 3, 0, 1]);
    for (stride, out) in [(1, [7, 9]), (2, [4, 5])] {
        let r = random([2, out[1], out[0], 6]).permute([0, 3, 2, 1]);
        for (actual, expected) in
            run(kernel_conv2d(device, stride), &x, &w, &r).iter().zip(&run(burn_conv2d(stride), &x, &w, &r))
        {
            assert_close(actual, expected, 1, &format!("stride {stride}"));
        }
    }
}

pub fn fused_norm_relu_convolution_matches_burn(device: &Device) {
    for [batch, cin, cout, size, k, stride] in SHAPES {
        for batch_statistics in [false, true] {
            let out = size.div_ceil(stride);
            let operands =
                [random([batch, cin, size, size]), random([cout, cin, k, k]), random([batch, cout, out, out])];
            let [gamma, beta, running_mean, running_variance] = [0; 4].map(|_| channel(cin));
            let running_variance = running_variance.square();
            let r = random([batch, cout, out, out]);
            let actual = |maps: Vec<Tensor<4>>, vectors: Vec<Tensor<1>>| {
                let x = kernel::images_to_maps(maps[0].clone());
                let [mean, variance] = if batch_statistics {
                    kernel::moments_for_conv2d(x.clone())
                } else {
                    [&running_mean, &running_variance].map(|t| moved(t.clone(), device))
                };
                let (gamma, beta) = (vectors[0].clone(), vectors[1].clone());
                let norm = kernel::BatchNormParams {
                    gamma,
                    beta,
                    mean,
                    variance,
                    epsilon: 1e-5,
                    batch_statistics,
                    folded: Default::default(),
                };
                let residual = kernel::images_to_maps(maps[2].clone());
                kernel::maps_to_images(kernel::norm_relu_conv2d(
                    x,
                    &norm,
                    &Weight::new(maps[1].clone()),
                    stride,
                    Some(residual),
                ))
            };
            let expected = |maps: Vec<Tensor<4>>, vectors: Vec<Tensor<1>>| {
                let x = maps[0].clone();
                let [mean, variance] = if batch_statistics {
                    let m = mean(x.clone());
                    [m.clone(), mean((x.clone() - per_channel(m)).square())]
                } else {
                    [running_mean.clone(), running_variance.clone()]
                };
                let normalized = (x - per_channel(mean)) / per_channel(variance.add_scalar(1e-5).sqrt());
                let activated = burn::tensor::activation::relu(
                    normalized * per_channel(vectors[0].clone()) + per_channel(vectors[1].clone()),
                );
                burn_conv2d(stride)(activated, maps[1].clone()) + maps[2].clone()
            };
            let vectors = [gamma.clone(), beta.clone()];
            let what = format!("{cin} -> {cout} @{size} k{k} s{stride} b{batch}, batch statistics: {batch_statistics}");
            for (i, (actual, expected)) in value_and_gradients(device, actual, &operands, &vectors, &r)
                .iter()
                .zip(&value_and_gradients(&Device::flex(), expected, &operands, &vectors, &r))
                .enumerate()
            {
                let terms = if i > operands.len() { batch * size * size } else { 1 };
                assert_close(actual, expected, terms, &format!("{what}, {i}"));
            }
        }
    }
}

pub fn tangent_convolution_matches_burn(device: &Device) {
    for [batch, cin, cout, size, k, stride] in SHAPES {
        let out = size.div_ceil(stride);
        let [x, t] = [0; 2].map(|_| random([batch, cin, size, size]));
        let operands = [x, t, random([cout, cin, k, k]), random([batch, cout, out, out])];
        let vectors = [0; 3].map(|_| channel(cin));
        let [gamma, beta, mean, variance] = [0; 4].map(|_| channel(cin));
        let norm = kernel::BatchNormParams {
            gamma,
            beta,
            mean,
            variance: variance.square(),
            epsilon: 1e-5,
            batch_statistics: false,
            folded: Default::default(),
        };
        let r = random([batch, cout, out, out]);
        let actual = |maps: Vec<Tensor<4>>, vectors: Vec<Tensor<1>>| {
            let [x, t, residual] = [0, 1, 3].map(|i| kernel::images_to_maps(maps[i].clone()));
            let [a, b, c] = [0, 1, 2].map(|i| vectors[i].clone());
            let tangent = kernel::NormTangent { t, a, b, c };
            let weight = &Weight::new(maps[2].clone());
            let [gamma, beta, mean, variance] =
                [&norm.gamma, &norm.beta, &norm.mean, &norm.variance].map(|t| moved(t.clone(), device));
            let norm = kernel::BatchNormParams { gamma, beta, mean, variance, folded: Default::default(), ..norm };
            kernel::maps_to_images(kernel::norm_relu_conv2d_tangent(x, &norm, tangent, weight, stride, Some(residual)))
        };
        let expected = |maps: Vec<Tensor<4>>, vectors: Vec<Tensor<1>>| {
            let [x, t] = [0, 1].map(|i| maps[i].clone());
            let value = (x.clone() - per_channel(norm.mean.clone()))
                / per_channel(norm.variance.clone().add_scalar(1e-5).sqrt())
                * per_channel(norm.gamma.clone())
                + per_channel(norm.beta.clone());
            let [a, b, c] = [0, 1, 2].map(|i| per_channel(vectors[i].clone()));
            let tangent = (t * a + x * b + c) * value.detach().greater_scalar(0.0).float();
            burn_conv2d(stride)(tangent, maps[2].clone()) + maps[3].clone()
        };
        let what = format!("{cin} -> {cout} @{size} k{k} s{stride} b{batch}");
        let both = value_and_gradients(device, actual, &operands, &vectors, &r).into_iter().zip(value_and_gradients(
            &Device::flex(),
            expected,
            &operands,
            &vectors,
            &r,
        ));
        for (i, (actual, expected)) in both.enumerate() {
            let terms = if i > operands.len() { batch * size * size } else { 1 };
            assert_close(&actual, &expected, terms, &format!("{what}, {i}"));
        }
    }
}

pub fn normalization_and_gradients_match_burn(device: &Device) {
    for [batch, channels, size] in [[1, 3, 32], [2, 16, 5], [9, 20, 8], [3, 7, 1], [64, 64, 8]] {
        for relu in [false, true] {
            let shape = [batch, channels, size, size];
            let r = random(shape);
            let actual = |maps: Vec<Tensor<4>>, v: Vec<Tensor<1>>| {
                kernel::maps_to_images(kernel::affine(
                    kernel::images_to_maps(maps[0].clone()),
                    v[0].clone(),
                    v[1].clone(),
                    relu,
                ))
            };
            let expected = |maps: Vec<Tensor<4>>, v: Vec<Tensor<1>>| {
                let y = maps[0].clone() * per_channel(v[0].clone()) + per_channel(v[1].clone());
                if relu { burn::tensor::activation::relu(y) } else { y }
            };
            let (x, vectors) = ([random(shape)], [channel(channels), channel(channels)]);
            for (i, (actual, expected)) in value_and_gradients(device, actual, &x, &vectors, &r)
                .iter()
                .zip(&value_and_gradients(&Device::flex(), expected, &x, &vectors, &r))
                .enumerate()
            {
                let terms = if i > x.len() { batch * size * size } else { 1 };
                assert_close(actual, expected, terms, &format!("affine {shape:?} relu {relu}, {i}"));
            }
        }
    }
}

/// Checks that the NaN of a diverged network stays visible.
pub fn relu_keeps_nan(device: &Device) {
    let x = Tensor::from_data(TensorData::new(vec![f32::NAN, -1.0, 2.0, -0.5], [1, 4, 1, 1]), device);
    let [scale, shift] = [1.0, 0.0].map(|value| Tensor::<1>::full([4], value, device));
    let y = floats(kernel::maps_to_images(kernel::affine(kernel::images_to_maps(x), scale, shift, true)));
    assert!(y[0].is_nan(), "{y:?}");
    assert!(y[1..] == [0.0, 2.0, 0.0], "{y:?}");
}

pub fn moments_and_gradients_match_burn(device: &Device) {
    for [batch, channels, size] in [[1, 3, 32], [2, 16, 5], [9, 20, 8], [3, 7, 1], [64, 64, 8]] {
        let shape = [batch, channels, size, size];
        let maps = [random(shape), random(shape)];
        let r = random([4, channels, 1, 1]);
        let rows = |rows: Vec<Tensor<1>>| Tensor::stack::<2>(rows, 0).reshape([4, channels, 1, 1]);
        let actual = |maps: Vec<Tensor<4>>, _| {
            let [x, t] = [0, 1].map(|i| kernel::images_to_maps(maps[i].clone()));
            rows([kernel::moments(x.clone()), kernel::cross_moments(x, t)].concat())
        };
        let expected = |maps: Vec<Tensor<4>>, _| {
            let [x, t] = [0, 1].map(|i| maps[i].clone());
            let m = mean(x.clone());
            let variance = mean((x.clone() - per_channel(m.clone())).square());
            rows(vec![m, variance, mean(t.clone()), mean(x * t)])
        };
        for (actual, expected) in value_and_gradients(device, actual, &maps, &[], &r).iter().zip(&value_and_gradients(
            &Device::flex(),
            expected,
            &maps,
            &[],
            &r,
        )) {
            assert_close(actual, expected, 1, &format!("moments {shape:?}"));
        }
    }
}
