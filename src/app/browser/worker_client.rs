//! The page's side of the connection to a worker. A message to the worker is `[command as bytes, attachment]`. The worker sends
//! `[module, memory, number of threads]` if it needs threads, `true` once it listens, an event as bytes, or text if it crashes.

use std::{cell::RefCell, rc::Rc};

use gloo::timers::callback::Timeout;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, Event as DomEvent, MessageEvent, Url, Worker};

use crate::{
    app::{browser::dom, domain::backend::BackendKind},
    platform::thread,
    protocol::{Command, Event, decode, encode},
};

/// A message from a worker.
pub enum WorkerMessage {
    /// An event.
    Event(Event),
    /// The worker crashed, with the reason.
    Crashed(String),
    /// Its threads did not start in time.
    ThreadsNotStarted,
}

/// Milliseconds that the threads of a worker may take to start, after their program is downloaded and compiled.
const THREAD_START_TIMEOUT: u32 = 10_000;

/// A running worker. Dropping it stops the worker and its threads.
pub struct WorkerClient {
    worker: Worker,
    start_up: Rc<RefCell<StartUp>>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(DomEvent)>,
}

/// The start-up of a worker.
struct StartUp {
    /// Messages to send once the worker listens; `None` after that.
    queued: Option<Vec<Array>>,
    /// The workers of its threads.
    threads: Vec<Worker>,
    /// Fires if the threads do not start in time.
    timeout: Option<Timeout>,
}

impl StartUp {
    /// The worker listens: sends the queued messages.
    fn send_queued(&mut self, worker: &Worker) {
        self.timeout = None;
        for message in self.queued.take().unwrap_or_default() {
            post(worker, &message);
        }
    }
}

impl WorkerClient {
    /// Starts a worker, with threads or without. `report` receives its messages.
    ///
    /// # Errors
    /// Returns the exception as text if the browser cannot create a worker.
    pub fn start(kind: BackendKind, threads: bool, report: impl Fn(WorkerMessage) + 'static) -> Result<Self, String> {
        let problem = |e| format!("{e:?}");
        let module = module(program(kind, threads)).map_err(problem)?;
        let worker = thread::worker(&module).map_err(problem)?;
        let start_up = Rc::new(RefCell::new(StartUp { queued: Some(Vec::new()), threads: Vec::new(), timeout: None }));
        let report = Rc::new(report);

        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let (worker, start_up, report) = (worker.clone(), start_up.clone(), report.clone());
            move |message: MessageEvent| {
                let data = message.data();
                if let Some(text) = data.as_string() {
                    report(WorkerMessage::Crashed(text));
                } else if let Some(bytes) = data.dyn_ref::<Uint8Array>() {
                    report(decode(&bytes.to_vec()).map_or_else(WorkerMessage::Crashed, WorkerMessage::Event));
                } else if let Some(shared) = data.dyn_ref::<Array>() {
                    let report_timeout = report.clone();
                    let timeout = Timeout::new(THREAD_START_TIMEOUT, move || {
                        report_timeout(WorkerMessage::ThreadsNotStarted);
                    });
                    start_up.borrow_mut().timeout = Some(timeout);
                    match start_threads(&worker, shared) {
                        Ok(threads) => start_up.borrow_mut().threads = threads,
                        Err(error) => report(WorkerMessage::Crashed(problem(error))),
                    }
                } else {
                    start_up.borrow_mut().send_queued(&worker);
                }
            }
        });
        // The event has no message if the program could not be loaded.
        let on_error = Closure::<dyn FnMut(DomEvent)>::new(move |event: DomEvent| {
            let text = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message);
            report(WorkerMessage::Crashed(text.unwrap_or_else(|| "its program could not be loaded".into())));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, start_up, _on_message: on_message, _on_error: on_error })
    }

    /// Sends a command with an attachment. A buffer is transferred, not copied; files are passed as handles.
    pub fn send(&self, command: &Command, attachment: JsValue) {
        let bytes = Uint8Array::from(encode(command).as_slice());
        let message = Array::of2(&bytes, &attachment);
        match self.start_up.borrow_mut().queued.as_mut() {
            Some(queued) => queued.push(message),
            None => post(&self.worker, &message),
        }
    }
}

/// The stem of the files of a worker's program. The CPU worker has threads if they are requested, if the page is cross-origin
/// isolated, and if it was built with threads (`native/threads`).
pub fn program(kind: BackendKind, threads: bool) -> &'static str {
    let has_global = |name: &str| js_sys::Reflect::get(&js_sys::global(), &name.into()).is_ok_and(|it| it.is_truthy());
    // WebKitGTK isolates pages, but has no SharedArrayBuffer unless the environment variable JSC_useSharedArrayBuffer is 1.
    let can_share_memory = || has_global("crossOriginIsolated") && has_global("SharedArrayBuffer");
    match kind {
        BackendKind::Cpu if threads && option_env!("OTJR_THREADS").is_some() && can_share_memory() => "worker-threads",
        BackendKind::Cpu => "worker-cpu",
        BackendKind::Gpu => "worker-gpu",
    }
}

/// The source of a worker's module, which imports its program. If the program with threads cannot allocate shared memory, the
/// one without threads is imported.
fn module(program: &str) -> Result<String, JsValue> {
    let loader = |name: &str| resolve_url(&format!("./{name}_loader.js"));
    Ok(if program == "worker-threads" {
        let [threads, single] = [loader(program)?, loader("worker-cpu")?];
        format!("await import({threads:?}).catch((e) => {{ console.warn(e); return import({single:?}); }});")
    } else {
        format!("import {:?};", loader(program)?)
    })
}

/// Starts the threads that `worker` asks for. Their messages and errors are handled as those of the worker.
fn start_threads(worker: &Worker, shared: &Array) -> Result<Vec<Worker>, JsValue> {
    let program = resolve_url("./worker-threads.js")?;
    let count = shared.get(2).as_f64().unwrap_or_default() as u32;
    let mut threads = Vec::new();
    for _ in 0..count {
        let thread = thread::start_thread(&program, shared)?;
        thread.set_onmessage(worker.onmessage().as_ref());
        thread.set_onerror(worker.onerror().as_ref());
        threads.push(thread);
    }
    Ok(threads)
}

fn resolve_url(file: &str) -> Result<String, JsValue> {
    let base = dom::document().base_uri()?.unwrap_or_default();
    Ok(Url::new_with_base(file, &base)?.href())
}

fn post(worker: &Worker, message: &Array) {
    let attachment = message.get(1);
    let transferred = if attachment.has_type::<ArrayBuffer>() { Array::of1(&attachment) } else { Array::new() };
    if let Err(error) = worker.post_message_with_transfer(message, &transferred) {
        web_sys::console::error_1(&error);
    }
}

impl Drop for WorkerClient {
    fn drop(&mut self) {
        for worker in [&self.worker].into_iter().chain(&self.start_up.borrow().threads) {
            worker.set_onmessage(None);
            worker.set_onerror(None);
            worker.terminate();
        }
    }
}
