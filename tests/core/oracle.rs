//! Comparison with PyTorch in float64, using the fixtures of `oracle.py` and `resnet.py`.

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    attack::inner::input_gradient,
    batch::one_hot,
    checkpoint::Checkpoint,
    loss::cross_entropy::cross_entropy,
    model::{Architecture, Model, Pass},
    verify::verify,
};

use crate::{ready, relative_error, tests, values};

/// Checks float32, the precision that the CPU backend uses by default, against a fixture.
fn check_wide_resnet(bytes: &[u8]) {
    let checks = ready(verify(bytes, &Device::flex())).unwrap();
    assert_eq!(checks.len(), 23, "eval, train, sw, jac, after, and loss and gradient of nine objectives");
    for check in checks {
        assert!(check.error < 1e-4, "{check:?}");
    }
}

fn check_resnet(bytes: &[u8], pre_activation: bool) {
    let device = Device::flex();
    let fixture = Checkpoint::from_bytes(bytes).unwrap();
    let mut model = Model::from_arrays(&fixture.model_arrays(), &device).unwrap();
    assert_eq!(model.architecture, Architecture::ResNet18 { pre_activation, width: 4 });
    assert_eq!(model.classes, 5);
    let array = &fixture.arrays["input.x"];
    let x: Tensor<4> = Tensor::from_data(TensorData::new(array.values.clone(), [4, 3, 32, 32]), &device);
    let y = one_hot(&[0, 3, 1, 4], 5, &device);
    let near = |name: &str, ours: &[f32], tolerance: f32| {
        let error = relative_error(ours, &fixture.arrays[name].values);
        assert!(error < tolerance, "{name}: {error:e}");
    };

    let (gradient, logits) = input_gradient(&model, x.clone(), |z| cross_entropy(z, y.clone()));
    near("eval.logits", &values(&logits), 1e-5);
    near("eval.grad_x", &values(&gradient), 1e-4);

    let mut tracked = model.tracked(false);
    let mut pass = Pass::training();
    let logits = tracked.forward(x, &mut pass).logits.value;
    near("train.logits", &values(&logits), 1e-5);
    let mut gradients = cross_entropy(logits, y).backward();
    for slot in tracked.named_tensors().into_iter().filter(|slot| slot.learned()) {
        let gradient = slot.gradient(&mut gradients).unwrap();
        near(&format!("ce.grad.{}", slot.name()), &values(&gradient), 1e-3);
    }
    model.update_running(pass);
    for slot in model.named_tensors().into_iter().filter(|slot| !slot.learned()) {
        near(&format!("after.{}", slot.name()), &values(&slot.flat()), 1e-5);
    }
}

tests! {
    fn wide_resnet_of_ten_classes() {
        check_wide_resnet(include_bytes!("../fixtures/wrn10_1-c10-b2.safetensors"));
    }

    /// A fixture with other coefficients, classes, batch size and K than the defaults.
    fn wide_resnet_of_three_classes() {
        check_wide_resnet(include_bytes!("../fixtures/wrn10_1-c3-b3.safetensors"));
    }

    fn plain_resnet() {
        check_resnet(include_bytes!("../fixtures/resnet18-w4.safetensors"), false);
    }

    fn pre_activation_resnet() {
        check_resnet(include_bytes!("../fixtures/preact-resnet18-w4.safetensors"), true);
    }

    fn an_error_is_an_error() {
        let bytes = include_bytes!("../fixtures/wrn10_1-c3-b3.safetensors");
        let mut fixture = Checkpoint::from_bytes(bytes).unwrap();
        fixture.arrays.get_mut("otjr.grad.fc.bias").unwrap().values[1] *= 1.01;
        fixture.arrays.get_mut("sw.value").unwrap().values[0] = f32::NAN;
        let checks = ready(verify(&fixture.to_bytes(), &Device::flex())).unwrap();
        let failed: Vec<_> = checks.iter().filter(|check| !check.passed()).map(|check| check.worst.as_str()).collect();
        assert_eq!(failed, ["sw.value", "otjr.grad.fc.bias"]);
    }

    fn a_model_is_no_fixture() {
        let mut fixture = Checkpoint::from_bytes(include_bytes!("../fixtures/wrn10_1-c3-b3.safetensors")).unwrap();
        fixture.arrays.retain(|name, _| name.starts_with("model."));
        let error = ready(verify(&fixture.to_bytes(), &Device::flex())).unwrap_err().to_string();
        assert!(error.contains("not a fixture"), "{error}");
    }
}
