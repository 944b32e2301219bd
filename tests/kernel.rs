//! The CPU kernels against burn's own operations.
#![cfg(feature = "cpu")]

use burn::tensor::{Device, Distribution, Tensor, module, ops::ConvOptions};
use otjr::kernel;

/// Output, input gradient and weight gradient of `sum(conv2d(x, w) * r)`.
type Results = [Vec<f32>; 3];

fn run(conv: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>, x: &Tensor<4>, w: &Tensor<4>, r: &Tensor<4>) -> Results {
    let floats = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().unwrap();
    let (x, w) = (x.clone().require_grad(), w.clone().require_grad());
    let y = conv(x.clone(), w.clone());
    let gradients = (y.clone() * r.clone()).sum().backward();
    [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()].map(floats)
}

fn burns(stride: usize) -> impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4> {
    move |x, w| {
        let pad = w.dims()[2] / 2;
        module::conv2d(x, w, None, ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1))
    }
}

fn ours(stride: usize) -> impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4> {
    move |x, w| kernel::conv2d(x, w, stride)
}

fn random(shape: [usize; 4]) -> Tensor<4> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex().autodiff())
}

/// Input, weight and a factor of the output.
fn operands([cin, cout, size]: [usize; 3], k: usize, stride: usize, batch: usize) -> [Tensor<4>; 3] {
    let out = size.div_ceil(stride);
    [random([batch, cin, size, size]), random([cout, cin, k, k]), random([batch, cout, out, out])]
}

fn assert_close(ours: &[f32], burns: &[f32], what: &str) {
    assert_eq!(ours.len(), burns.len(), "{what}");
    let largest = burns.iter().fold(0.0f32, |m, b| m.max(b.abs()));
    let error = ours.iter().zip(burns).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(error <= 1e-5 * largest, "{what}: {error} of {largest}");
}

#[test]
fn convolution_and_its_gradients_equal_burns_own() {
    for channels in [[3, 16], [16, 20], [20, 3], [64, 64]] {
        for size in [32, 16, 8, 5, 4, 1] {
            for (k, stride) in [(3, 1), (3, 2), (1, 1), (1, 2)] {
                for batch in [1, 2, 9] {
                    let [x, w, r] = operands([channels[0], channels[1], size], k, stride, batch);
                    let what = format!("{channels:?} @{size} k{k} s{stride} b{batch}");
                    for (ours, burns) in run(ours(stride), &x, &w, &r).iter().zip(&run(burns(stride), &x, &w, &r)) {
                        assert_close(ours, burns, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn pictures_need_not_be_square_or_in_order() {
    let device = Device::flex().autodiff();
    let x = Tensor::<4>::random([2, 7, 9, 5], Distribution::Default, &device).permute([0, 3, 1, 2]);
    let w = random([3, 3, 6, 5]).permute([2, 3, 0, 1]);
    for (stride, out) in [(1, [7, 9]), (2, [4, 5])] {
        let r = random([2, out[1], out[0], 6]).permute([0, 3, 2, 1]);
        for (ours, burns) in run(ours(stride), &x, &w, &r).iter().zip(&run(burns(stride), &x, &w, &r)) {
            assert_close(ours, burns, &format!("stride {stride}"));
        }
    }
}

#[test]
fn only_tracked_inputs_get_gradients() {
    let [x, w, r] = operands([3, 4, 8], 3, 1, 2);
    let all = run(burns(1), &x, &w, &r);
    let floats = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().unwrap();

    let tracked = x.clone().require_grad();
    let gradients = (kernel::conv2d(tracked.clone(), w.clone(), 1) * r.clone()).sum().backward();
    assert_close(&floats(tracked.grad(&gradients).unwrap()), &all[1], "input only");
    assert!(w.grad(&gradients).is_none());

    // An input of the plain device beside a tracked weight, as in a training step.
    let tracked = w.clone().require_grad();
    let gradients = (kernel::conv2d(x.clone().inner(), tracked.clone(), 1) * r).sum().backward();
    assert_close(&floats(tracked.grad(&gradients).unwrap()), &all[2], "weight only");
    assert!(x.grad(&gradients).is_none());

    assert_close(&floats(kernel::conv2d(x.clone(), w.clone(), 1)), &all[0], "neither");
    assert_close(&floats(kernel::conv2d(x.inner(), w.inner(), 1)), &all[0], "no autodiff");
}

#[test]
fn threads_do_not_change_a_bit() {
    for batch in [1, 9, 20] {
        let [x, w, r] = operands([16, 32, 8], 3, 2, batch);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(ours(2), &x, &w, &r))
        };
        assert_eq!(with(1), with(2), "batch {batch}");
    }
}

#[test]
fn float64_stays_float64() {
    use burn::tensor::DType;
    let [x, w, _] = operands([3, 4, 8], 3, 1, 2);
    let y = kernel::conv2d(x.clone().cast(DType::F64), w.clone().cast(DType::F64), 1);
    assert_eq!(y.dtype(), DType::F64);
    let floats = |t: Tensor<4>| t.cast(DType::F32).into_data().try_to_vec::<f32>().unwrap();
    assert_close(&floats(kernel::conv2d(x, w, 1)), &floats(y), "float64");
}

/// Output and the gradients of input, scale and shift of `sum(affine(x) * r)`; then mean, variance and the gradient of
/// `sum(mean * a) + sum(variance * b)`.
fn normalised(
    affine: impl Fn(Tensor<4>, Tensor<1>, Tensor<1>) -> Tensor<4>,
    moments: impl Fn(Tensor<4>) -> [Tensor<1>; 2],
    [x, r]: [&Tensor<4>; 2],
    [scale, shift]: [&Tensor<1>; 2],
) -> Vec<Vec<f32>> {
    fn floats<const D: usize>(t: Tensor<D>) -> Vec<f32> {
        t.into_data().try_to_vec::<f32>().unwrap()
    }
    let x = x.clone().require_grad();
    let (s, t) = (scale.clone().require_grad(), shift.clone().require_grad());
    let y = affine(x.clone(), s.clone(), t.clone());
    let gradients = (y.clone() * r.clone()).sum().backward();
    let mut all = vec![floats(y.inner()), floats(x.grad(&gradients).unwrap())];
    all.extend([floats(s.grad(&gradients).unwrap()), floats(t.grad(&gradients).unwrap())]);
    let x = x.detach().require_grad();
    let [mean, variance] = moments(x.clone());
    let loss = (mean.clone() * scale.clone()).sum() + (variance.clone() * shift.clone()).sum();
    let gradients = loss.backward();
    all.extend([floats(mean.inner()), floats(variance.inner()), floats(x.grad(&gradients).unwrap())]);
    all
}

#[test]
fn normalisation_and_its_gradients_equal_burns_own() {
    for [batch, channels, size] in [[1, 3, 32], [2, 16, 5], [9, 20, 8], [3, 7, 1], [64, 64, 8]] {
        for relu in [false, true] {
            let shape = [batch, channels, size, size];
            let (x, r) = (random(shape), random(shape));
            let [scale, shift] = [0, 1].map(|row| random([2, channels, 1, 1]).narrow(0, row, 1).reshape([channels]));
            let what = format!("{shape:?} relu {relu}");
            let burns = normalised(
                |x, scale, shift| {
                    let y = x * kernel::per_channel(scale) + kernel::per_channel(shift);
                    if relu { burn::tensor::activation::relu(y) } else { y }
                },
                |x| {
                    let mean_of = |t: Tensor<4>| t.mean_dims(&[0, 2, 3]).reshape([channels]);
                    let mean = mean_of(x.clone());
                    [mean.clone(), mean_of((x - kernel::per_channel(mean)).square())]
                },
                [&x, &r],
                [&scale, &shift],
            );
            let affine = |x, scale, shift| kernel::affine(x, scale, shift, relu);
            let ours = normalised(affine, kernel::moments, [&x, &r], [&scale, &shift]);
            for (ours, burns) in ours.iter().zip(&burns) {
                assert_close(ours, burns, &what);
            }
        }
    }
}
