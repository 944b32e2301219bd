//! Starts and replaces workers, and sends commands to the current one.

use js_sys::ArrayBuffer;
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::{
    app::{
        browser::worker_client::{WorkerClient, WorkerMessage},
        domain::{action::Msg, backend::BackendKind},
        runtime::context::AppContext,
    },
    protocol::{Command, ErrorScope},
};

impl AppContext {
    pub(super) fn start_worker(self, kind: BackendKind) {
        let on_message = move |message| match message {
            WorkerMessage::Event(event) => self.send(Msg::Worker(kind, event)),
            // Deferred, because the worker's own handler is running and is about to be dropped.
            WorkerMessage::Crashed(reason) => spawn_local(async move { self.send(Msg::Crashed(kind, reason)) }),
            WorkerMessage::ThreadsNotStarted => spawn_local(async move { self.send(Msg::ThreadsNotStarted(kind)) }),
        };
        let with_threads = self.state.with_untracked(|state| !state.backend.cpu_crashed);
        match WorkerClient::start(kind, with_threads, on_message) {
            Ok(client) => {
                client.send(&Command::OpenDevice, JsValue::UNDEFINED);
                self.resources.update_value(|resources| resources.starting = Some(client));
            }
            Err(reason) => self.send(Msg::Crashed(kind, reason)),
        }
    }

    pub(super) fn activate_worker(self) {
        // Dropping the old worker must not happen inside the update, because it runs code of its own.
        let old = self.resources.try_update_value(|resources| {
            let started = resources.starting.take();
            std::mem::replace(&mut resources.current, started)
        });
        drop(old);
    }

    /// Sends a command with an attachment to the current worker.
    pub(super) fn send_command(self, command: &Command, attachment: JsValue) {
        self.resources.with_value(|resources| {
            if let Some(client) = &resources.current {
                client.send(command, attachment);
            }
        });
    }

    /// Sends a command with the content of a file, or reports that the file could not be read.
    pub(super) fn send_file(self, scope: ErrorScope, command: &Command, content: Result<ArrayBuffer, String>) {
        match content {
            Ok(buffer) => self.send_command(command, buffer.into()),
            Err(message) => self.send(Msg::ReadFailed(scope, message)),
        }
    }
}
