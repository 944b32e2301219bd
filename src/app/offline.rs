//! Lets the page open again without a network: hands what it is made of to `public/service-worker.js`.

use js_sys::Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{PerformanceResourceTiming, ServiceWorkerRegistration};

use super::{
    browser,
    carry::MODELS,
    link::{BuiltinModel, ImageDomain},
    message::BackendKind,
    worker_client,
};

/// Does nothing where browsers have no service workers: private windows, files, plain http.
pub async fn keep() {
    let Some(container) = browser::service_worker() else { return };
    let (registered, ready) = (container.register("./service-worker.js"), container.ready());
    if JsFuture::from(registered).await.is_err() {
        return;
    }
    let Ok(ready) = ready else { return };
    let Ok(registration) = JsFuture::from(ready).await else { return };
    let registration: ServiceWorkerRegistration = registration.unchecked_into();
    let fetched = browser::window().performance().map(|p| p.get_entries_by_type("resource")).unwrap_or_default();
    let fetched = fetched.iter().filter_map(|entry| entry.dyn_into::<PerformanceResourceTiming>().ok());
    let origin = browser::window().location().origin().unwrap_or_default();
    let here = fetched.map(|entry| entry.name()).filter(|address| address.starts_with(&origin));
    // Photos and their models when they have been looked at.
    let models = BuiltinModel::all(ImageDomain::Shapes).map(|model| format!("{MODELS}/{}", model.file()));
    // What workers fetch the page does not see.
    let program = worker_client::program(BackendKind::Cpu, true);
    let worker = ["_loader.js", ".js", "_bg.wasm"].map(|end| format!("./{program}{end}"));
    let all = ["./".to_owned()].into_iter().chain(worker).chain(models).chain(here);
    let all: Array = all.map(JsValue::from).collect();
    if let Some(worker) = registration.active() {
        let _ = worker.post_message(&all);
    }
}
