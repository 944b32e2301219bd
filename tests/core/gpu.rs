//! Tests on wgpu: on a hardware GPU if there is one, otherwise on Mesa's software Vulkan, which `tests/run` installs.

use std::sync::OnceLock;

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    attack::{
        Attack, AttackBatch, AttackConfig, AttackKind, AttackOutcome, Goal, ModelOracle, Norm, any::build_attacks,
    },
    checkpoint::Checkpoint,
    data::synthetic,
    kernel::{self, Weight},
    loss::Objective,
    model::{Classifier, Model},
    platform::{self, DeviceChoice},
    random::{self, StreamId},
    train::{TrainConfig, Trainer},
    verify::verify,
};

use crate::{
    invariants::{self, CLASSES, Subject},
    kernels,
};

/// Returns the GPU; a process can open it only once.
fn gpu() -> Device {
    static GPU: OnceLock<Device> = OnceLock::new();
    let open = || {
        let opened = pollster::block_on(platform::open(DeviceChoice::Gpu(None))).unwrap();
        println!("on {}", opened.name);
        opened.device
    };
    GPU.get_or_init(open).clone()
}

#[test]
fn operations_match_burn_on_the_cpu() {
    let device = gpu();
    kernels::convolution_and_gradients_match_burn(&device);
    kernels::images_may_be_rectangular_and_strided(&device);
    kernels::fused_norm_relu_convolution_matches_burn(&device);
    kernels::tangent_convolution_matches_burn(&device);
    kernels::normalization_and_gradients_match_burn(&device);
    kernels::moments_and_gradients_match_burn(&device);
    kernels::relu_keeps_nan(&device);
}

/// With float16 the results are close to those of float32 but not equal, which shows that float16 was used. Gradients
/// as small as those of a mean over a batch do not underflow.
#[test]
fn float16_is_close() {
    let device = &gpu();
    for [cin, cout, k, stride] in [[16, 32, 3, 1], [32, 64, 3, 2], [3, 16, 3, 1], [64, 16, 1, 2]] {
        let [x, w, r] = kernels::operands([cin, cout, 8], k, stride, 100);
        let r = r.mul_scalar(1e-6);
        let half = |x: Tensor<4>, w: Tensor<4>| {
            let home = x.device();
            let (x, w) = (kernels::moved(x, device), kernels::moved(w, device));
            kernel::maps_to_images(kernel::conv2d(kernel::images_to_maps(x), &Weight::new(w).with_f16(), stride, None))
                .to_device(&home)
        };
        for (half, burns) in
            kernels::run(half, &x, &w, &r).iter().zip(kernels::run(kernels::burn_conv2d(stride), &x, &w, &r))
        {
            let largest = burns.iter().fold(0f32, |most, v| most.max(v.abs()));
            let off = half.iter().zip(&burns).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / largest;
            assert!((1e-5..3e-3).contains(&off), "{cin} -> {cout}, {k} x {k} / {stride}: {off}");
        }
    }
}

#[test]
fn fixture_passes_on_wgpu() {
    let bytes = include_bytes!("../fixtures/wrn10_1-c3-b3.safetensors");
    for check in pollster::block_on(verify(bytes, &gpu())).unwrap() {
        assert!(check.passed(), "{check:?}");
    }
}

/// Attacks compute on the host. So on a GPU they respect the threat model exactly, start at the same points, and reach
/// the same margins as on the CPU.
#[test]
fn attacks_on_wgpu_match_the_cpu() {
    let images = synthetic::generate(0, 0, 2).test;
    let task = AttackBatch {
        images: images.pixels.iter().map(|&v| f32::from(v) / 255.0).collect(),
        goals: images.labels.iter().map(|&label| Goal::Untargeted(label as usize)).collect(),
        image_ids: vec![0, 1],
    };
    let run = |device: &Device, config: &AttackConfig| -> Vec<AttackOutcome> {
        let bytes = include_bytes!("../../public/models/otjr.safetensors");
        let model = Model::from_arrays(&Checkpoint::from_bytes(bytes).unwrap().model_arrays(), device).unwrap();
        let query = ModelOracle::new(&model, device, [3, 32, 32], 2);
        let method = build_attacks(config, 10).unwrap().remove(0).attack;
        pollster::block_on(method.run(&query, &task, &mut ())).unwrap()
    };
    let gpu = gpu();
    for (kind, norm) in [(AttackKind::ApgdCe, Norm::L2), (AttackKind::FabT, Norm::Linf), (AttackKind::Square, Norm::L1)]
    {
        let usual = AttackConfig::of(kind, norm);
        let config = AttackConfig { steps: 2, queries: 3, targets: 1, ..usual };
        for (i, (gpu, cpu)) in run(&gpu, &config).iter().zip(run(&Device::flex(), &config)).enumerate() {
            assert!(norm.distance(&gpu.x, task.image(i)) <= config.epsilon.0, "{kind} {norm}");
            assert!(gpu.x.iter().all(|v| (0.0..=1.0).contains(v)));
            assert!((gpu.margin - cpu.margin).abs() < 1e-3, "{kind} {norm}: {} {}", gpu.margin, cpu.margin);
        }
    }
}

/// A network of two matrices, z = V tanh(U x): fast on devices where every operation has a high fixed cost.
struct Tiny([Tensor<2>; 2]);

impl Tiny {
    const SHAPE: [usize; 3] = [3, 8, 8];

    fn new(device: &Device) -> Self {
        let matrix = |index, rows: usize, columns: usize, size: f32| {
            let values =
                random::uniform(&mut random::stream(5, StreamId::Directions, index), rows * columns, -size, size);
            Tensor::from_data(TensorData::new(values, [rows, columns]), device)
        };
        Self([matrix(0, 192, 16, 0.2), matrix(1, 16, CLASSES, 1.0)])
    }
}

impl Classifier for Tiny {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        let b = x.dims()[0] as i32;
        x.reshape([b, -1]).sub_scalar(0.5).matmul(self.0[0].clone()).tanh().matmul(self.0[1].clone())
    }
}

/// Checks the invariants of attacks on wgpu.
#[test]
fn invariants_on_wgpu() {
    let device = gpu();
    let subject = Subject { model: &Tiny::new(&device), device, shape: Tiny::SHAPE };
    pollster::block_on(async {
        subject.results_stay_in_ball_and_range().await;
        subject.epsilon_zero_is_the_identity().await;
        subject.equal_seeds_give_equal_images().await;
        subject.more_is_never_weaker().await;
        subject.images_already_wrong_are_not_touched().await;
        subject.outputs_that_are_no_numbers_are_refused().await;
    });
}

/// Uses a network with running statistics, which an attack could change by mistake.
#[test]
fn attacks_do_not_change_models_on_wgpu() {
    let device = gpu();
    let model = &Model::new("wrn-10-1".parse().unwrap(), 4, None, 21, &device).unwrap();
    let cases = [(AttackKind::Pgd, Norm::L1), (AttackKind::FabT, Norm::Linf), (AttackKind::Cw, Norm::L2)];
    pollster::block_on(invariants::the_model_is_as_before(&Subject { model, device, shape: [3, 32, 32] }, &cases));
}

/// Compares the losses of the first steps: GPU with CPU, and both together with two accumulated parts on the CPU. The
/// objective has no attack, because the sign of a gradient near 0 depends on rounding.
#[test]
fn training_on_wgpu_matches_the_cpu() {
    let data = synthetic::generate(0, 16, 1).train;
    let losses = |device: &Device, others: Vec<Device>, accumulate, mixed| -> Vec<f32> {
        let config = TrainConfig { objective: Objective::RandJac, batch: 8, accumulate, mixed, ..TrainConfig::demo() };
        let mut trainer = Trainer::new(&config, &data, device).unwrap();
        trainer.replicas = others;
        (0..3).for_each(|_| trainer.step(&data));
        pollster::block_on(trainer.records(&data)).unwrap().iter().map(|record| record.loss).collect()
    };
    let (gpu, cpu) = (gpu(), Device::flex());
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs()).fold(0f32, f32::max);
    let whole = losses(&cpu, vec![], 1, false);
    let on_gpu = apart(&losses(&gpu, vec![], 1, false), &whole);
    let on_both = apart(&losses(&gpu, vec![cpu.clone()], 1, false), &losses(&cpu, vec![], 2, false));
    assert!(on_gpu <= 1e-4, "{on_gpu} {on_both}");
    assert!(on_both <= 1e-4, "{on_gpu} {on_both}");
    // With float16 the losses are close. The CPU ignores `mixed`.
    let mixed = apart(&losses(&gpu, vec![], 1, true), &whole);
    assert!((1e-6..1e-2).contains(&mixed), "{mixed}");
    assert_eq!(losses(&cpu, vec![], 1, true), whole);
}
