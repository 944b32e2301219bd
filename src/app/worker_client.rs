//! The page's end of the line to a worker. A message is `[command as bytes, what lies beside it]`; back come
//! `[module, memory, number of threads]` if the worker wants threads started, `true` once it listens, bytes of an event, or text
//! if the worker is dying.

use std::{cell::RefCell, rc::Rc};

use gloo::timers::callback::Timeout;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, Event as DomEvent, MessageEvent, Url, Worker};

use super::{browser, message::Kind};
use crate::{
    platform::thread,
    protocol::{Command, Event, decode, encode},
};

/// What comes from a worker.
pub enum Report {
    Event(Event),
    /// It is dead.
    Crashed(String),
    /// Its threads did not start in time.
    Late,
}

/// Milliseconds that a worker's threads may take to start. Their program is there by then, so the network is not waited for.
const START: u32 = 10_000;

/// A running worker; ended when dropped.
pub struct Client {
    worker: Worker,
    parts: Rc<RefCell<Parts>>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(DomEvent)>,
}

/// What comes and goes while the worker starts.
struct Parts {
    /// Messages wait here until the worker listens.
    waiting: Option<Vec<Array>>,
    /// Its threads.
    threads: Vec<Worker>,
    /// Runs while they start.
    clock: Option<Timeout>,
}

impl Client {
    /// Starts a worker, with threads or without; `report` hears of everything that it says.
    pub fn start(kind: Kind, threads: bool, report: impl Fn(Report) + 'static) -> Result<Self, String> {
        let problem = |e| format!("{e:?}");
        let module = module(program(kind, threads)).map_err(problem)?;
        let worker = thread::worker(&module).map_err(problem)?;
        let parts = Rc::new(RefCell::new(Parts { waiting: Some(Vec::new()), threads: Vec::new(), clock: None }));
        let report = Rc::new(report);

        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let (worker, parts, report) = (worker.clone(), parts.clone(), report.clone());
            move |message: MessageEvent| {
                let data = message.data();
                if let Some(text) = data.as_string() {
                    report(Report::Crashed(text));
                } else if let Some(bytes) = data.dyn_ref::<Uint8Array>() {
                    report(decode(&bytes.to_vec()).map_or_else(Report::Crashed, Report::Event));
                } else if let Some(shared) = data.dyn_ref::<Array>() {
                    let late = report.clone();
                    parts.borrow_mut().clock = Some(Timeout::new(START, move || late(Report::Late)));
                    match helpers(&worker, shared) {
                        Ok(threads) => parts.borrow_mut().threads = threads,
                        Err(why) => report(Report::Crashed(problem(why))),
                    }
                } else {
                    let mut parts = parts.borrow_mut();
                    parts.clock = None;
                    let messages: Vec<Array> = parts.waiting.take().unwrap_or_default();
                    messages.iter().for_each(|m| post(&worker, m));
                }
            }
        });
        // A program that could not be loaded gives an event without a message.
        let on_error = Closure::<dyn FnMut(DomEvent)>::new(move |event: DomEvent| {
            let text = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message);
            report(Report::Crashed(text.unwrap_or_else(|| "its program could not be loaded".into())));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, parts, _on_message: on_message, _on_error: on_error })
    }

    /// Sends a command and what lies beside it: a buffer is handed over, not copied; files are only named.
    pub fn send(&self, command: &Command, beside: JsValue) {
        let bytes = Uint8Array::from(encode(command).as_slice());
        let message = Array::of2(&bytes, &beside);
        match self.parts.borrow_mut().waiting.as_mut() {
            Some(waiting) => waiting.push(message),
            None => post(&self.worker, &message),
        }
    }
}

/// The file of a worker's program, without what follows its name. Where the page is isolated from other origins, that for the
/// CPU may have `threads`, if it was built with them (`native/threads`).
pub fn program(kind: Kind, threads: bool) -> &'static str {
    let has = |name: &str| js_sys::Reflect::get(&js_sys::global(), &name.into()).is_ok_and(|it| it.is_truthy());
    // WebKitGTK isolates pages, but has no memory to share unless its environment holds JSC_useSharedArrayBuffer=1.
    let shares = || has("crossOriginIsolated") && has("SharedArrayBuffer");
    match kind {
        Kind::Cpu if threads && option_env!("OTJR_THREADS").is_some() && shares() => "worker-threads",
        Kind::Cpu => "worker-cpu",
        Kind::Gpu => "worker-gpu",
    }
}

/// A worker's module: its program, or, where that finds no memory to share, the one without threads.
fn module(program: &str) -> Result<String, JsValue> {
    let loader = |name: &str| address(&format!("./{name}_loader.js"));
    Ok(if program == "worker-threads" {
        let [threads, one] = [loader(program)?, loader("worker-cpu")?];
        format!("await import({threads:?}).catch((e) => {{ console.warn(e); return import({one:?}); }});")
    } else {
        format!("import {:?};", loader(program)?)
    })
}

/// The workers of the threads that this worker asks for. Their messages and errors count as its own.
fn helpers(worker: &Worker, shared: &Array) -> Result<Vec<Worker>, JsValue> {
    let program = address("./worker-threads.js")?;
    let helper = |_| {
        let helper = thread::helper(&program, shared)?;
        helper.set_onmessage(worker.onmessage().as_ref());
        helper.set_onerror(worker.onerror().as_ref());
        Ok(helper)
    };
    (0..shared.get(2).as_f64().unwrap_or_default() as u32).map(helper).collect()
}

fn address(file: &str) -> Result<String, JsValue> {
    let base = browser::document().base_uri()?.unwrap_or_default();
    Ok(Url::new_with_base(file, &base)?.href())
}

fn post(worker: &Worker, message: &Array) {
    let beside = message.get(1);
    let handed_over = if beside.has_type::<ArrayBuffer>() { Array::of1(&beside) } else { Array::new() };
    if let Err(error) = worker.post_message_with_transfer(message, &handed_over) {
        web_sys::console::error_1(&error);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for worker in [&self.worker].into_iter().chain(&self.parts.borrow().threads) {
            worker.set_onmessage(None);
            worker.set_onerror(None);
            worker.terminate();
        }
    }
}
