//! Makes the page available offline: passes the list of its files to `public/service-worker.js`.

use js_sys::{Array, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{PerformanceResourceTiming, ServiceWorkerContainer, ServiceWorkerRegistration};

use crate::app::{
    browser::{dom, worker_client},
    domain::{
        assets::MODELS,
        backend::BackendKind,
        builtin_model::{BuiltinModel, ImageDomain},
    },
};

/// The service worker container; `None` in private windows, for local files and without https.
pub fn service_worker() -> Option<ServiceWorkerContainer> {
    let navigator = dom::window().navigator();
    let is_supported = Reflect::has(&navigator, &"serviceWorker".into()).unwrap_or(false);
    is_supported.then(|| navigator.service_worker())
}

/// Registers the service worker and passes it the files to cache. Does nothing without service workers.
pub async fn cache_page() {
    let Some(container) = service_worker() else { return };
    let (registered, ready) = (container.register("./service-worker.js"), container.ready());
    if JsFuture::from(registered).await.is_err() {
        return;
    }
    let Ok(ready) = ready else { return };
    let Ok(registration) = JsFuture::from(ready).await else { return };
    let registration: ServiceWorkerRegistration = registration.unchecked_into();
    if let Some(worker) = registration.active() {
        let urls: Array = urls_to_cache().into_iter().map(JsValue::from).collect();
        let _ = worker.post_message(&urls);
    }
}

/// The page, the CPU worker, the models of the shapes, and everything that the page has fetched. Photos and their models are
/// cached only if they were used.
fn urls_to_cache() -> Vec<String> {
    let mut urls = vec!["./".to_owned()];
    // The page cannot observe what its workers fetch.
    let program = worker_client::program(BackendKind::Cpu, true);
    urls.extend(["_loader.js", ".js", "_bg.wasm"].map(|ending| format!("./{program}{ending}")));
    urls.extend(BuiltinModel::all(ImageDomain::Shapes).map(|model| format!("{MODELS}/{}", model.file())));
    let origin = dom::window().location().origin().unwrap_or_default();
    let entries = dom::window().performance().map(|p| p.get_entries_by_type("resource")).unwrap_or_default();
    for entry in entries.iter() {
        if let Ok(entry) = entry.dyn_into::<PerformanceResourceTiming>()
            && entry.name().starts_with(&origin)
        {
            urls.push(entry.name());
        }
    }
    urls
}
