//! Asks WebGPU for its adapter.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::app::{browser::dom::window, domain::backend::GpuAdapter};

/// Requests the WebGPU adapter. Uses reflection, because web-sys offers WebGPU only with a compiler flag.
pub async fn adapter() -> GpuAdapter {
    let get = |object: &JsValue, key: &str| Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED);
    let gpu = get(&window().navigator(), "gpu");
    if gpu.is_falsy() {
        let secure = window().is_secure_context();
        return GpuAdapter::None(if secure { "this browser has no WebGPU" } else { "WebGPU needs https" });
    }
    let request = || -> Option<Promise> {
        let options = js_sys::Object::new();
        Reflect::set(&options, &"powerPreference".into(), &"high-performance".into()).ok()?;
        get(&gpu, "requestAdapter").dyn_ref::<Function>()?.call1(&gpu, &options).ok()?.dyn_into().ok()
    };
    let Some(promise) = request() else {
        return GpuAdapter::None("this browser has no WebGPU");
    };
    let Ok(adapter) = JsFuture::from(promise).await else {
        return GpuAdapter::None("WebGPU does not respond");
    };
    if adapter.is_falsy() {
        return GpuAdapter::None("WebGPU found no GPU");
    }
    let info = get(&adapter, "info");
    let text = |key: &str| get(&info, key).as_string().unwrap_or_default();
    let is_fallback = get(&info, "isFallbackAdapter").is_truthy() || get(&adapter, "isFallbackAdapter").is_truthy();
    GpuAdapter::from_info(&text("vendor"), &text("architecture"), &text("description"), is_fallback)
}
