//! The page's side of the connection to a worker. A message to the worker is `[command as bytes, attachment]`. The worker sends
//! `true` once it listens, an event as bytes, or text if it crashes.

use std::{cell::RefCell, rc::Rc};

use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, ErrorEvent, Event as DomEvent, MessageEvent, Url, Worker};

use crate::{
    app::{browser::dom, domain::backend::BackendKind},
    platform::thread,
    protocol::{Command, Event, decode, encode},
};

/// What comes from a worker.
pub enum WorkerMessage {
    Event(Event),
    /// It is dead.
    Crashed(String),
}

/// A running worker; ended when dropped.
pub struct WorkerClient {
    worker: Worker,
    deaths: BroadcastChannel,
    /// Messages wait here until the worker listens.
    waiting: Rc<RefCell<Option<Vec<Array>>>>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(DomEvent)>,
}

impl WorkerClient {
    /// Starts a worker, with threads or without; `report` hears of everything that it says.
    pub fn start(kind: BackendKind, threads: bool, report: impl Fn(WorkerMessage) + 'static) -> Result<Self, String> {
        let problem = |e| format!("{e:?}");
        // A name of its own, for the channel on which its threads tell of their death.
        let name = format!("otjr-{}-{}", js_sys::Date::now(), js_sys::Math::random());
        let deaths = BroadcastChannel::new(&name).map_err(problem)?;
        let module = module(program(kind, threads)).map_err(problem)?;
        let worker = thread::worker(&module, &name).map_err(problem)?;
        let waiting = Rc::new(RefCell::new(Some(Vec::new())));
        let report = Rc::new(report);

        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let (worker, waiting, report) = (worker.clone(), waiting.clone(), report.clone());
            move |message: MessageEvent| {
                let data = message.data();
                if let Some(text) = data.as_string() {
                    report(WorkerMessage::Crashed(text));
                } else if let Some(bytes) = data.dyn_ref::<Uint8Array>() {
                    report(decode(&bytes.to_vec()).map_or_else(WorkerMessage::Crashed, WorkerMessage::Event));
                } else {
                    let messages: Vec<Array> = waiting.borrow_mut().take().unwrap_or_default();
                    messages.iter().for_each(|m| post(&worker, m));
                }
            }
        });
        // A program that could not be loaded gives an event without a message.
        let on_error = Closure::<dyn FnMut(DomEvent)>::new(move |event: DomEvent| {
            let text = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message);
            report(WorkerMessage::Crashed(text.unwrap_or_else(|| "its program could not be loaded".into())));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        deaths.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, deaths, waiting, _on_message: on_message, _on_error: on_error })
    }

    /// Sends a command and what lies beside it: a buffer is handed over, not copied; files are only named.
    pub fn send(&self, command: &Command, beside: JsValue) {
        let bytes = Uint8Array::from(encode(command).as_slice());
        let message = Array::of2(&bytes, &beside);
        match self.waiting.borrow_mut().as_mut() {
            Some(waiting) => waiting.push(message),
            None => post(&self.worker, &message),
        }
    }
}

/// The file of a worker's program, without what follows its name. Where the page is isolated from other origins, that for the
/// CPU may have `threads`, if it was built with them (`native/threads`).
pub fn program(kind: BackendKind, threads: bool) -> &'static str {
    let isolated =
        || js_sys::Reflect::get(&js_sys::global(), &"crossOriginIsolated".into()).is_ok_and(|it| it.is_truthy());
    match kind {
        BackendKind::Cpu if threads && option_env!("OTJR_THREADS").is_some() && isolated() => "worker-threads",
        BackendKind::Cpu => "worker-cpu",
        BackendKind::Gpu => "worker-gpu",
    }
}

/// A worker's module: its program, or, where that finds no memory to share, the one without threads.
fn module(program: &str) -> Result<String, JsValue> {
    let base = dom::document().base_uri()?.unwrap_or_default();
    let loader = |name: &str| Url::new_with_base(&format!("./{name}_loader.js"), &base).map(|url| url.href());
    Ok(if program == "worker-threads" {
        let [threads, one] = [loader(program)?, loader("worker-cpu")?];
        format!("await import({threads:?}).catch((e) => {{ console.warn(e); return import({one:?}); }});")
    } else {
        format!("import {:?};", loader(program)?)
    })
}

fn post(worker: &Worker, message: &Array) {
    let beside = message.get(1);
    let handed_over = if beside.has_type::<ArrayBuffer>() { Array::of1(&beside) } else { Array::new() };
    if let Err(error) = worker.post_message_with_transfer(message, &handed_over) {
        web_sys::console::error_1(&error);
    }
}

impl Drop for WorkerClient {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
        self.deaths.close();
    }
}
