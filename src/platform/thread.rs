//! Starts the web workers of the page and, where browsers have shared memory, the threads of a worker.

use js_sys::Array;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, BlobPropertyBag, Url, Worker, WorkerOptions, WorkerType};

/// Starts a worker that runs the JavaScript `module`.
///
/// The module is loaded from a blob, because a worker loaded from a blob inherits the Content-Security-Policy of the page. A worker
/// loaded from a file has the policy of that file's response, which most static hosts do not set.
///
/// # Errors
/// If the browser cannot start a worker.
pub fn worker(module: &str) -> Result<Worker, JsValue> {
    let kind = BlobPropertyBag::new();
    kind.set_type("text/javascript");
    let blob = Blob::new_with_str_sequence_and_options(&Array::of1(&module.into()), &kind)?;
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    Worker::new_with_options(&Url::create_object_url_with_blob(&blob)?, &options)
}

/// Starts a worker that runs one thread of another worker's pool. `program` is the URL of their JavaScript; `shared` contains their
/// module and memory. If the thread fails, its worker posts the reason.
///
/// # Errors
/// If the browser cannot start a worker.
pub fn start_thread(program: &str, shared: &Array) -> Result<Worker, JsValue> {
    let worker = worker(&format!(
        "import init, {{ run_thread }} from {program:?};
        onmessage = async ({{ data: [module_or_path, memory] }}) => {{
            try {{
                await init({{ module_or_path, memory }});
                run_thread();
            }} catch (e) {{
                postMessage(`a thread died: ${{e}}`);
            }}
        }};"
    ))?;
    worker.post_message(shared)?;
    Ok(worker)
}

#[cfg(target_feature = "atomics")]
pub use pool::start_pool;

/// Rayon's threads. Each one is a worker that runs this program on the same memory. Browsers allow shared memory only if the page
/// is cross-origin isolated.
#[cfg(target_feature = "atomics")]
mod pool {
    use std::sync::{Condvar, Mutex};

    use js_sys::Array;
    use wasm_bindgen::prelude::*;
    use web_sys::DedicatedWorkerGlobalScope;

    /// The networks are too small to gain from more.
    const MAX_THREADS: u32 = 16;

    /// Threads that are not running in a worker yet.
    static WAITING: Mutex<Vec<rayon::ThreadBuilder>> = Mutex::new(Vec::new());
    static ADDED: Condvar = Condvar::new();

    /// Gives rayon one thread for each core, including the calling thread. Blocks until all threads run; the page watches for
    /// threads that never start.
    ///
    /// The page starts the workers of the other threads, on the message `[module, memory, number of workers]`. A worker cannot
    /// do so itself: under WebDriver, Firefox does not return from the constructor of a nested worker in about one of 50
    /// visits, and older versions of Safari have no nested workers.
    ///
    /// # Errors
    /// If rayon's pool cannot be built.
    pub fn start_pool() -> Result<(), JsValue> {
        let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
        let cores = scope.navigator().hardware_concurrency() as u32;
        let threads = cores.clamp(1, MAX_THREADS);
        scope.post_message(&Array::of3(&wasm_bindgen::module(), &wasm_bindgen::memory(), &(threads - 1).into()))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize).use_current_thread();
        let pool = pool.spawn_handler(|thread| {
            WAITING.lock().unwrap_or_else(|e| e.into_inner()).push(thread);
            ADDED.notify_one();
            Ok(())
        });
        pool.build_global().map_err(|e| e.to_string().into())
    }

    /// Runs one thread of the pool until the pool ends.
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
