//! The same core on wgpu: on a real GPU where there is one, else on Mesa's software Vulkan, which `tests/run` installs.

#![cfg(feature = "gpu")]

use otjr::{
    platform::{self, DeviceChoice},
    verify::verify,
};

#[test]
fn a_fixture_on_wgpu() {
    let opened = pollster::block_on(platform::open(DeviceChoice::Gpu(None))).unwrap();
    println!("on {}", opened.name);
    let bytes = include_bytes!("fixtures/wrn10_1-c3-b3.safetensors");
    for check in pollster::block_on(verify(bytes, &opened.device)).unwrap() {
        assert!(check.passed(), "{check:?}");
    }
}
