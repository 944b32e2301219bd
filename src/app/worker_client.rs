//! The page's end of the line to a worker. A message is `[command as bytes, what lies beside it]`; back come `true` once
//! the worker listens, bytes of an event, or text if the worker is dying.

use std::{cell::RefCell, rc::Rc};

use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{
    Blob, BlobPropertyBag, ErrorEvent, Event as DomEvent, MessageEvent, Url, Worker, WorkerOptions, WorkerType,
};

use super::{browser, message::Kind};
use crate::protocol::{Command, Event, decode, encode};

/// What comes from a worker.
pub enum Report {
    Event(Event),
    /// It is dead.
    Crashed(String),
}

/// A running worker; ended when dropped.
pub struct Client {
    worker: Worker,
    /// Messages wait here until the worker listens.
    waiting: Rc<RefCell<Option<Vec<Array>>>>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(DomEvent)>,
}

impl Client {
    /// Starts a worker; `report` hears of everything that it says.
    pub fn start(kind: Kind, report: impl Fn(Report) + 'static) -> Result<Self, String> {
        let path = match kind {
            Kind::Cpu => "./worker-cpu_loader.js",
            Kind::Gpu => "./worker-gpu_loader.js",
        };
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = bound(path).and_then(|address| Worker::new_with_options(&address, &options));
        let worker = worker.map_err(|e| format!("{e:?}"))?;
        let waiting = Rc::new(RefCell::new(Some(Vec::new())));
        let report = Rc::new(report);

        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let (worker, waiting, report) = (worker.clone(), waiting.clone(), report.clone());
            move |message: MessageEvent| {
                let data = message.data();
                if let Some(text) = data.as_string() {
                    report(Report::Crashed(text));
                } else if let Some(bytes) = data.dyn_ref::<Uint8Array>() {
                    report(decode(&bytes.to_vec()).map_or_else(Report::Crashed, Report::Event));
                } else {
                    let messages: Vec<Array> = waiting.borrow_mut().take().unwrap_or_default();
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
        Ok(Self { worker, waiting, _on_message: on_message, _on_error: on_error })
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

/// An address for a worker's program that binds it to the page's Content-Security-Policy: started from its file, it would
/// have that of the file's answer, which on a plain host is none; started from a blob, it inherits the page's, and so
/// cannot connect to elsewhere either.
fn bound(path: &str) -> Result<String, JsValue> {
    let base = browser::document().base_uri()?.unwrap_or_default();
    let import = format!("import {:?};", Url::new_with_base(path, &base)?.href());
    let kind = BlobPropertyBag::new();
    kind.set_type("text/javascript");
    let blob = Blob::new_with_str_sequence_and_options(&Array::of1(&import.into()), &kind)?;
    Url::create_object_url_with_blob(&blob)
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
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}
