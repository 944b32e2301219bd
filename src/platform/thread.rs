//! Workers of the page: programs of their own, and threads, where browsers have them.

use js_sys::Array;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, BlobPropertyBag, Url, Worker, WorkerOptions, WorkerType};

/// Starts a worker of this name on the JavaScript of a module, under the Content-Security-Policy of who calls: a worker that
/// is started from a file has that of the file's answer, which on a plain host is none; one that is started from a blob
/// inherits it, and so cannot connect to elsewhere either.
pub fn worker(module: &str, name: &str) -> Result<Worker, JsValue> {
    let kind = BlobPropertyBag::new();
    kind.set_type("text/javascript");
    let blob = Blob::new_with_str_sequence_and_options(&Array::of1(&module.into()), &kind)?;
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    options.set_name(name);
    Worker::new_with_options(&Url::create_object_url_with_blob(&blob)?, &options)
}

#[cfg(target_feature = "atomics")]
pub use pool::start_pool;

/// Rayon's threads: each is a worker with this program on the same memory. Browsers let programs share memory only where the
/// page is isolated from other origins.
#[cfg(target_feature = "atomics")]
mod pool {
    use std::sync::{Condvar, Mutex};

    use js_sys::{Array, Promise};
    use wasm_bindgen::prelude::*;
    use wasm_bindgen_futures::JsFuture;
    use web_sys::DedicatedWorkerGlobalScope;

    use super::worker;

    /// The networks here are too small for more.
    const MOST: usize = 16;

    /// Threads that no worker runs yet.
    static WAITING: Mutex<Vec<rayon::ThreadBuilder>> = Mutex::new(Vec::new());
    static ADDED: Condvar = Condvar::new();

    #[wasm_bindgen]
    extern "C" {
        /// The address of the JavaScript that came with this program.
        #[wasm_bindgen(thread_local_v2, js_namespace = ["import", "meta"], js_name = url)]
        static PROGRAM: String;
    }

    /// Gives rayon as many threads as the machine has cores, this one among them.
    pub async fn start_pool() -> Result<(), JsValue> {
        let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
        let cores = scope.navigator().hardware_concurrency();
        let threads = (cores as usize).clamp(1, MOST);
        let helpers = (1..threads).map(|_| helper(&scope.name())).collect::<Result<Array, _>>()?;
        // Before rayon waits for its threads: this worker could not start them while it waits.
        JsFuture::from(Promise::all(&helpers)).await?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread();
        let pool = pool.spawn_handler(|thread| {
            WAITING.lock().unwrap_or_else(|e| e.into_inner()).push(thread);
            ADDED.notify_one();
            Ok(())
        });
        pool.build_global().map_err(|e| e.to_string().into())
    }

    /// A worker that will run one of the pool's threads; the promise is kept once it is there. If the thread dies, its worker
    /// says so on the channel of this `name`: who waits for the thread hears nothing.
    fn helper(name: &str) -> Result<Promise, JsValue> {
        let program = PROGRAM.with(String::clone);
        let module = format!(
            "import init, {{ run_thread }} from {program:?};
            onmessage = async ({{ data: [module_or_path, memory] }}) => {{
                await init({{ module_or_path, memory }});
                postMessage(true);
                try {{ run_thread(); }} catch (e) {{ new BroadcastChannel(name).postMessage(`a thread died: ${{e}}`); }}
            }};"
        );
        let worker = worker(&module, name)?;
        worker.post_message(&Array::of2(&wasm_bindgen::module(), &wasm_bindgen::memory()))?;
        let there = Promise::new(&mut |resolve, reject| {
            worker.set_onmessage(Some(&resolve));
            worker.set_onerror(Some(&reject));
        });
        // Some browsers collect a worker that nobody holds, however busy it is.
        std::mem::forget(worker);
        Ok(there)
    }

    /// Runs a thread of the pool, as long as the pool lasts.
    #[wasm_bindgen]
    pub fn run_thread() {
        let waiting = WAITING.lock().unwrap_or_else(|e| e.into_inner());
        let waiting = ADDED.wait_while(waiting, |waiting| waiting.is_empty());
        let thread = waiting.unwrap_or_else(|e| e.into_inner()).pop();
        if let Some(thread) = thread {
            thread.run();
        }
    }
}
