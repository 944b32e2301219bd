//! Workers of the page: programs of their own, and threads, where browsers have them.

use js_sys::Array;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, BlobPropertyBag, Url, Worker, WorkerOptions, WorkerType};

/// Starts a worker on the JavaScript of a module, under the Content-Security-Policy of who calls: a worker that is started
/// from a file has that of the file's answer, which on a plain host is none; one that is started from a blob inherits it, and
/// so cannot connect to elsewhere either.
pub fn worker(module: &str) -> Result<Worker, JsValue> {
    let kind = BlobPropertyBag::new();
    kind.set_type("text/javascript");
    let blob = Blob::new_with_str_sequence_and_options(&Array::of1(&module.into()), &kind)?;
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    Worker::new_with_options(&Url::create_object_url_with_blob(&blob)?, &options)
}

/// Starts a worker that runs one thread of another worker's pool: `program` is the address of their JavaScript, `shared` their
/// module and their memory. If the thread dies, its worker posts why.
pub fn helper(program: &str, shared: &Array) -> Result<Worker, JsValue> {
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

/// Rayon's threads: each is a worker with this program on the same memory. Browsers let programs share memory only where the
/// page is isolated from other origins.
#[cfg(target_feature = "atomics")]
mod pool {
    use std::sync::{Condvar, Mutex};

    use js_sys::Array;
    use wasm_bindgen::prelude::*;
    use web_sys::DedicatedWorkerGlobalScope;

    /// The networks here are too small for more.
    const MOST: u32 = 16;

    /// Threads that no worker runs yet.
    static WAITING: Mutex<Vec<rayon::ThreadBuilder>> = Mutex::new(Vec::new());
    static ADDED: Condvar = Condvar::new();

    /// Gives rayon as many threads as the machine has cores, this one among them. The page starts the workers of the others, as
    /// `[module, memory, number of workers]` asks it to: a worker of Firefox that starts a worker itself never returns from that
    /// in about one of 50 visits while WebDriver watches, and older versions of Safari have no workers in workers.
    ///
    /// Blocks until all threads run. A thread that never does is the page's to notice.
    pub fn start_pool() -> Result<(), JsValue> {
        let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
        let cores = scope.navigator().hardware_concurrency() as u32;
        let threads = cores.clamp(1, MOST);
        scope.post_message(&Array::of3(&wasm_bindgen::module(), &wasm_bindgen::memory(), &(threads - 1).into()))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize).use_current_thread();
        let pool = pool.spawn_handler(|thread| {
            WAITING.lock().unwrap_or_else(|e| e.into_inner()).push(thread);
            ADDED.notify_one();
            Ok(())
        });
        pool.build_global().map_err(|e| e.to_string().into())
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
