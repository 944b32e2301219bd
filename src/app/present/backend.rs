//! The name of the current backend, and why it was chosen.

use crate::app::{
    domain::backend::{BackendKind, BackendPreference, GpuAdapter},
    state::State,
};

/// Who computes, and why.
pub fn backend_line(state: &State) -> (String, String) {
    let b = &state.backend;
    let gpu = match &b.adapter {
        Some(GpuAdapter::Real(name) | GpuAdapter::Emulated(name)) if !name.is_empty() => format!("WebGPU on {name}"),
        _ => "WebGPU".into(),
    };
    let (name, why) = match (&b.current, b.starting) {
        (None, Some(BackendKind::Cpu)) => ("CPU".into(), "starting".into()),
        (None, Some(BackendKind::Gpu)) => ("WebGPU".into(), "starting; it is fetched first".into()),
        (None, None) => ("Stopped".into(), "reload the page".into()),
        (Some(_), Some(BackendKind::Gpu)) => ("CPU".into(), "while WebGPU starts".into()),
        (Some(_), Some(BackendKind::Cpu)) => ("WebGPU".into(), "while the CPU starts".into()),
        (Some((BackendKind::Gpu, _)), None) => match (&b.adapter, state.permalink.backend) {
            (Some(GpuAdapter::Emulated(_)), _) => {
                (gpu, "as chosen; the GPU is emulated in software, so it is slow".into())
            }
            (_, BackendPreference::Gpu) => (gpu, "as chosen".into()),
            _ => (gpu, "because this browser offers a GPU".into()),
        },
        (Some((BackendKind::Cpu, name)), None) => {
            let why = match (&b.gpu_failure, &b.adapter, state.permalink.backend) {
                (Some(_), ..) => "because WebGPU failed here".into(),
                (_, _, BackendPreference::Cpu) => "as chosen".into(),
                (_, Some(GpuAdapter::None(why)), _) => format!("because {why}"),
                (_, Some(GpuAdapter::Emulated(name)), _) => {
                    format!("because WebGPU is only emulated here ({name}), which is slower")
                }
                _ => String::new(),
            };
            (name.clone(), why)
        }
    };
    (name, why)
}
