//! The worker: a [`Session`] at the end of a line to the page. One source, two binaries: with the feature `cpu` it
//! computes on the CPU, with `gpu` on WebGPU.
//!
//! Commands are carried out one after another. What arrives meanwhile waits in line, but most of it at once tells a running
//! attack that it is no longer wanted.

#[cfg(target_arch = "wasm32")]
mod browser {
    use std::{
        cell::{Cell, RefCell},
        io::{self, BufReader, Read, Seek, SeekFrom},
        rc::Rc,
        sync::atomic::{AtomicBool, Ordering},
    };

    use js_sys::{Array, ArrayBuffer, Uint8Array};
    use otjr::{
        platform::DeviceChoice,
        protocol::{Command, Event, decode, encode},
        session::{Files, Queue, Session},
    };
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

    struct Line {
        waiting: RefCell<Queue>,
        /// Away while a command is carried out.
        session: Cell<Option<Session>>,
    }

    impl Line {
        fn receive(self: &Rc<Self>, (command, files): (Command, Option<Files>)) {
            self.waiting.borrow_mut().push(command, files);
            if let Some(session) = self.session.take() {
                wasm_bindgen_futures::spawn_local(self.clone().work(session));
            }
        }

        async fn work(self: Rc<Self>, mut session: Session) {
            while let Some((command, files)) = self.next() {
                session.files = files;
                session.handle(DEVICE, command, &emit).await;
            }
            self.session.set(Some(session));
        }

        fn next(&self) -> Option<(Command, Option<Files>)> {
            self.waiting.borrow_mut().pop()
        }
    }

    /// A file that is read in pieces, whatever its size.
    struct Pieces {
        file: Blob,
        at: u64,
    }

    impl Pieces {
        const SIZE: usize = 1 << 20;

        fn open(file: Blob) -> BufReader<Self> {
            BufReader::with_capacity(Self::SIZE, Self { file, at: 0 })
        }
    }

    impl Read for Pieces {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let failed = |_| io::Error::other("the file could not be read: it may have been moved or changed");
            let end = self.at + out.len() as u64;
            let piece = self.file.slice_with_f64_and_f64(self.at as f64, end as f64).map_err(failed)?;
            let bytes = FileReaderSync::new().and_then(|reader| reader.read_as_array_buffer(&piece)).map_err(failed)?;
            let bytes = Uint8Array::new(&bytes);
            let n = bytes.length() as usize;
            bytes.copy_to(&mut out[..n]);
            self.at += n as u64;
            Ok(n)
        }
    }

    impl Seek for Pieces {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            let (from, by) = match to {
                SeekFrom::Start(at) => (0, at as i64),
                SeekFrom::End(by) => (self.file.size() as i64, by),
                SeekFrom::Current(by) => (self.at as i64, by),
            };
            self.at = u64::try_from(from + by).map_err(|_| io::Error::other("before the file's beginning"))?;
            Ok(self.at)
        }
    }

    /// A command and what lies beside it: the bytes of a file, an archive, or a folder as pairs of path and file.
    fn read(message: &Array) -> Result<(Command, Option<Files>), String> {
        let mut command: Command = decode(&Uint8Array::new(&message.get(0)).to_vec())?;
        let beside = message.get(1);
        if let (Some(bytes), Some(file)) = (command.file(), beside.dyn_ref::<ArrayBuffer>()) {
            *bytes = Uint8Array::new(file).to_vec();
        }
        let entry = |pair: JsValue| {
            let pair: Array = pair.unchecked_into();
            let file = Pieces::open(pair.get(1).unchecked_into());
            (pair.get(0).as_string().unwrap_or_default(), Box::new(file) as Box<dyn otjr::session::Source>)
        };
        let files = match (beside.dyn_ref::<File>(), beside.dyn_ref::<Array>()) {
            (Some(file), _) => Some(Files::Archive(Box::new(Pieces::open(file.clone().into())))),
            (_, Some(pairs)) => Some(Files::Folder(pairs.iter().map(entry).collect())),
            _ => None,
        };
        Ok((command, files))
    }

    /// Tells the page why this worker dies, and the console more.
    fn last_words() {
        std::panic::set_hook(Box::new(|info| {
            console_error_panic_hook::hook(info);
            post(&info.to_string().lines().next_back().unwrap_or("panic").into());
        }));
        // What dies without a panic, such as for want of memory, ends as a promise that nobody awaits.
        let unhandled = Closure::<dyn Fn(PromiseRejectionEvent)>::new(|event: PromiseRejectionEvent| {
            post(&js_sys::JsString::from(format!("{:?}", event.reason())));
        });
        let listened =
            scope().add_event_listener_with_callback("unhandledrejection", unhandled.as_ref().unchecked_ref());
        listened.expect("a worker can listen");
        unhandled.forget();
    }

    pub fn run() {
        // With threads, each of them begins here.
        static BEGUN: AtomicBool = AtomicBool::new(false);
        if !BEGUN.swap(true, Ordering::Relaxed) {
            last_words();
            wasm_bindgen_futures::spawn_local(listen());
        }
    }

    async fn listen() {
        #[cfg(target_feature = "atomics")]
        if let Err(error) = otjr::platform::thread::start_pool() {
            web_sys::console::warn_2(&"there will be one thread:".into(), &error);
        }
        let session = Session::default();
        let waiting = RefCell::new(Queue::new(session.latest.clone()));
        let line = Rc::new(Line { waiting, session: Cell::new(Some(session)) });
        let listen = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
            match read(&message.data().unchecked_into()) {
                Ok(command) => line.receive(command),
                Err(problem) => post(&problem.into()),
            }
        });
        scope().set_onmessage(Some(listen.as_ref().unchecked_ref()));
        listen.forget();
        post(&true.into());
    }
}

#[cfg(target_arch = "wasm32")]
pub fn main() {
    browser::run();
}

#[cfg(not(target_arch = "wasm32"))]
pub fn main() {
    eprintln!("The worker runs in a browser: native/serve builds and serves the page.");
}
