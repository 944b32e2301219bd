//! The web worker: passes the page's commands to a [`Session`](crate::session::Session) and posts its events to the page.
//! With the feature `cpu` it computes on the CPU, with `gpu` on WebGPU.
//!
//! Commands are carried out one after another. Commands that arrive during a job wait in a queue; most of them also stop
//! the job.

#[cfg(target_arch = "wasm32")]
mod browser {
    use std::{
        cell::{Cell, RefCell},
        io::{self, BufReader, Read, Seek, SeekFrom},
        rc::Rc,
        sync::atomic::{AtomicBool, Ordering},
    };

    use crate::{
        platform::DeviceChoice,
        protocol::{Command, Event, decode, encode},
        session::{Files, Queue, Session},
    };
    use js_sys::{Array, ArrayBuffer, Uint8Array};
    use wasm_bindgen::prelude::*;
    use web_sys::{Blob, DedicatedWorkerGlobalScope, File, FileReaderSync, MessageEvent, PromiseRejectionEvent};

    const DEVICE: DeviceChoice = if cfg!(feature = "gpu") { DeviceChoice::Gpu(None) } else { DeviceChoice::Cpu };

    fn scope() -> DedicatedWorkerGlobalScope {
        js_sys::global().unchecked_into()
    }

    fn post(value: &JsValue) {
        if let Err(error) = scope().post_message(value) {
            web_sys::console::error_1(&error);
        }
    }

    fn emit(event: Event) {
        post(&Uint8Array::from(encode(&event).as_slice()));
    }

    /// Carries out queued commands one after another.
    struct CommandLoop {
        queue: RefCell<Queue>,
        /// `None` while a command is carried out.
        session: Cell<Option<Session>>,
    }

    impl CommandLoop {
        fn receive(self: &Rc<Self>, command: Command, files: Option<Files>) {
            self.queue.borrow_mut().push(command, files);
            if let Some(session) = self.session.take() {
                wasm_bindgen_futures::spawn_local(self.clone().run(session));
            }
        }

        async fn run(self: Rc<Self>, mut session: Session) {
            while let Some((command, files)) = self.next() {
                session.files = files;
                session.handle(command).await;
            }
            self.session.set(Some(session));
        }

        fn next(&self) -> Option<(Command, Option<Files>)> {
            self.queue.borrow_mut().pop()
        }
    }

    /// Reads a file in chunks, so that it may be larger than the memory.
    struct BlobReader {
        file: Blob,
        position: u64,
    }

    impl BlobReader {
        /// Bytes per chunk.
        const CHUNK: usize = 1 << 20;

        fn open(file: Blob) -> BufReader<Self> {
            BufReader::with_capacity(Self::CHUNK, Self { file, position: 0 })
        }
    }

    impl Read for BlobReader {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let failed = |_| io::Error::other("the file could not be read: it may have been moved or changed");
            let end = self.position + out.len() as u64;
            let chunk = self.file.slice_with_f64_and_f64(self.position as f64, end as f64).map_err(failed)?;
            let buffer =
                FileReaderSync::new().and_then(|reader| reader.read_as_array_buffer(&chunk)).map_err(failed)?;
            let bytes = Uint8Array::new(&buffer);
            let count = bytes.length() as usize;
            bytes.copy_to(&mut out[..count]);
            self.position += count as u64;
            Ok(count)
        }
    }

    impl Seek for BlobReader {
        fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
            let (base, offset) = match target {
                SeekFrom::Start(position) => (0, position as i64),
                SeekFrom::End(offset) => (self.file.size() as i64, offset),
                SeekFrom::Current(offset) => (self.position as i64, offset),
            };
            self.position =
                u64::try_from(base + offset).map_err(|_| io::Error::other("position before the start of the file"))?;
            Ok(self.position)
        }
    }

    /// Decodes a message: a command and its attachment, which is the bytes of a file, an archive, or a folder as pairs of
    /// path and file.
    fn read(message: &Array) -> Result<(Command, Option<Files>), String> {
        let mut command: Command = decode(&Uint8Array::new(&message.get(0)).to_vec())?;
        let attachment = message.get(1);
        if let (Some(bytes), Some(file)) = (command.attachment(), attachment.dyn_ref::<ArrayBuffer>()) {
            *bytes = Uint8Array::new(file).to_vec();
        }
        let entry = |pair: JsValue| {
            let pair: Array = pair.unchecked_into();
            let file = BlobReader::open(pair.get(1).unchecked_into());
            (pair.get(0).as_string().unwrap_or_default(), Box::new(file) as Box<dyn crate::session::Source>)
        };
        let files = match (attachment.dyn_ref::<File>(), attachment.dyn_ref::<Array>()) {
            (Some(file), _) => Some(Files::Archive(Box::new(BlobReader::open(file.clone().into())))),
            (_, Some(pairs)) => Some(Files::Folder(pairs.iter().map(entry).collect())),
            _ => None,
        };
        Ok((command, files))
    }

    /// Posts the reason to the page when the worker panics or otherwise fails, and logs details to the console.
    fn install_panic_reporter() {
        std::panic::set_hook(Box::new(|info| {
            console_error_panic_hook::hook(info);
            post(&info.to_string().lines().next_back().unwrap_or("panic").into());
        }));
        // Without a panic, as when memory is exhausted, the failure is a rejected promise that is not awaited.
        let unhandled = Closure::<dyn Fn(PromiseRejectionEvent)>::new(|event: PromiseRejectionEvent| {
            post(&js_sys::JsString::from(format!("{:?}", event.reason())));
        });
        let listened =
            scope().add_event_listener_with_callback("unhandledrejection", unhandled.as_ref().unchecked_ref());
        listened.expect("a worker can listen");
        unhandled.forget();
    }

    pub fn run() {
        // Every thread of the worker calls this function. Only the first may listen to the page.
        static STARTED: AtomicBool = AtomicBool::new(false);
        if !STARTED.swap(true, Ordering::Relaxed) {
            install_panic_reporter();
            wasm_bindgen_futures::spawn_local(listen());
        }
    }

    async fn listen() {
        #[cfg(target_feature = "atomics")]
        if let Err(error) = crate::platform::thread::start_pool() {
            web_sys::console::warn_2(&"there will be one thread:".into(), &error);
        }
        let session = Session::new(DEVICE, emit);
        let queue = RefCell::new(Queue::new(session.current_job.clone()));
        let command_loop = Rc::new(CommandLoop { queue, session: Cell::new(Some(session)) });
        let listen = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
            match read(&message.data().unchecked_into()) {
                Ok((command, files)) => command_loop.receive(command, files),
                Err(problem) => post(&problem.into()),
            }
        });
        scope().set_onmessage(Some(listen.as_ref().unchecked_ref()));
        listen.forget();
        post(&true.into());
    }
}

/// Starts the worker.
#[cfg(target_arch = "wasm32")]
pub fn main() {
    browser::run();
}

/// Prints a note that the worker needs a browser.
#[cfg(not(target_arch = "wasm32"))]
pub fn main() {
    eprintln!("The worker runs in a browser: native/serve builds and serves the page.");
}
