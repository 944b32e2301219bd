//! Tests of the CPU kernels.

use burn::tensor::{Device, Tensor};

use crate::kernels::{self, assert_close, burn_conv2d, kernel_conv2d, operands, run};

#[test]
fn operations_match_burn() {
    let device = Device::flex();
    kernels::convolution_and_gradients_match_burn(&device);
    kernels::images_may_be_rectangular_and_strided(&device);
    kernels::fused_norm_relu_convolution_matches_burn(&device);
    kernels::tangent_convolution_matches_burn(&device);
    kernels::normalization_and_gradients_match_burn(&device);
    kernels::moments_and_gradients_match_burn(&device);
    kernels::relu_keeps_nan(&device);
}

#[test]
fn only_tracked_inputs_get_gradients() {
    let device = &Device::flex();
    let [x, w, r] = operands([3, 4, 8], 3, 1, 2);
    let all = run(burn_conv2d(1), &x, &w, &r);
    let floats = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().unwrap();

    let tracked = x.clone().require_grad();
    let gradients = (kernel_conv2d(device, 1)(tracked.clone(), w.clone()) * r.clone()).sum().backward();
    assert_close(&floats(tracked.grad(&gradients).unwrap()), &all[1], 1, "input only");
    assert!(w.grad(&gradients).is_none());

    // An input outside of autodiff with a tracked weight, as in a training step.
    let tracked = w.clone().require_grad();
    let gradients = (kernel_conv2d(device, 1)(x.clone().inner(), tracked.clone()) * r).sum().backward();
    assert_close(&floats(tracked.grad(&gradients).unwrap()), &all[2], 1, "weight only");
    assert!(x.grad(&gradients).is_none());

    assert_close(&floats(kernel_conv2d(device, 1)(x.clone(), w.clone())), &all[0], 1, "neither");
    assert_close(&floats(kernel_conv2d(device, 1)(x.inner(), w.inner())), &all[0], 1, "no autodiff");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let device = &Device::flex();
    for batch in [1, 9, 20] {
        let [x, w, r] = operands([16, 32, 8], 3, 2, batch);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(kernel_conv2d(device, 2), &x, &w, &r))
        };
        assert_eq!(with(1), with(2), "batch {batch}");
    }
}

#[test]
fn float64_is_preserved() {
    let device = &Device::flex();
    use burn::tensor::DType;
    let [x, w, _] = operands([3, 4, 8], 3, 1, 2);
    let y = kernel_conv2d(device, 1)(x.clone().cast(DType::F64), w.clone().cast(DType::F64));
    assert_eq!(y.dtype(), DType::F64);
    let floats = |t: Tensor<4>| t.cast(DType::F32).into_data().try_to_vec::<f32>().unwrap();
    assert_close(&floats(kernel_conv2d(device, 1)(x, w)), &floats(y), 1, "float64");
}
