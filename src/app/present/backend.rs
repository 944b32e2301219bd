//! The name of the current backend, and why it was chosen.

use crate::app::{
    domain::backend::{BackendKind, BackendPreference, GpuAdapter},
    state::{State, backend::Backend},
};

/// The name of the current backend and a reason, which may be empty.
pub fn backend_line(state: &State) -> (String, String) {
    let backend = &state.backend;
    match (&backend.current, backend.starting) {
        (None, Some(BackendKind::Cpu)) => ("CPU".into(), "starting".into()),
        (None, Some(BackendKind::Gpu)) => ("WebGPU".into(), "downloading".into()),
        (None, None) => ("Stopped".into(), "reload the page".into()),
        (Some(_), Some(BackendKind::Gpu)) => ("CPU".into(), "while WebGPU starts".into()),
        (Some(_), Some(BackendKind::Cpu)) => ("WebGPU".into(), "while the CPU starts".into()),
        (Some((BackendKind::Gpu, _)), None) => (gpu_name(backend), why_gpu(backend, state.permalink.backend).into()),
        (Some((BackendKind::Cpu, name)), None) => (name.clone(), why_cpu(backend, state.permalink.backend)),
    }
}

fn gpu_name(backend: &Backend) -> String {
    match &backend.adapter {
        Some(GpuAdapter::Real(name) | GpuAdapter::Emulated(name)) if !name.is_empty() => format!("WebGPU on {name}"),
        _ => "WebGPU".into(),
    }
}

fn why_gpu(backend: &Backend, preference: BackendPreference) -> &'static str {
    match (&backend.adapter, preference) {
        (Some(GpuAdapter::Emulated(_)), _) => "as selected; the GPU is emulated in software, so it is slow",
        (_, BackendPreference::Gpu) => "as selected",
        _ => "because this browser offers a GPU",
    }
}

fn why_cpu(backend: &Backend, preference: BackendPreference) -> String {
    match (&backend.gpu_failure, &backend.adapter, preference) {
        (Some(_), ..) => "because WebGPU failed here".into(),
        (_, _, BackendPreference::Cpu) => "as selected".into(),
        (_, Some(GpuAdapter::None(reason)), _) => format!("because {reason}"),
        (_, Some(GpuAdapter::Emulated(name)), _) => {
            format!("because WebGPU is only emulated here ({name}), which is slower")
        }
        _ => String::new(),
    }
}
