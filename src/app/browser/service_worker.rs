//! Makes the page available offline: passes the list of its files to `public/service-worker.js`.

use js_sys::{Array, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{PerformanceResourceTiming, ServiceWorkerContainer, ServiceWorkerRegistration};

use crate::app::{
    browser::{
        dom::{self, window},
        worker_client,
    },
    domain::{
        assets::MODELS,
        backend::BackendKind,
        builtin_model::{BuiltinModel, ImageDomain},
    },
};

/// Not where browsers have no service workers: private windows, files, plain http.
pub fn service_worker() -> Option<ServiceWorkerContainer> {
    let navigator = window().navigator();
    let has = Reflect::has(&navigator, &"serviceWorker".into()).unwrap_or(false);
    has.then(|| navigator.service_worker())
}

/// Does nothing where browsers have no service workers: private windows, files, plain http.
pub async fn cache_page() {
    let Some(container) = service_worker() else { return };
    let (registered, ready) = (container.register("./service-worker.js"), container.ready());
    if JsFuture::from(registered).await.is_err() {
        return;
    }
    let Ok(ready) = ready else { return };
    let Ok(registration) = JsFuture::from(ready).await else { return };
    let registration: ServiceWorkerRegistration = registration.unchecked_into();
    let fetched = dom::window().performance().map(|p| p.get_entries_by_type("resource")).unwrap_or_default();
    let fetched = fetched.iter().filter_map(|entry| entry.dyn_into::<PerformanceResourceTiming>().ok());
    let origin = dom::window().location().origin().unwrap_or_default();
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
