//! The worker: a [`Session`] at the end of a line to the page. One source, two binaries: with the feature `cpu` it
//! computes on the CPU, with `gpu` on WebGPU.
//!
//! Commands are carried out one after another. What arrives meanwhile waits in line, but at once tells a running attack
//! that it is no longer wanted.

#[cfg(target_arch = "wasm32")]
mod browser {
    use std::{
        cell::{Cell, RefCell},
        collections::VecDeque,
        rc::Rc,
    };

    use js_sys::{Array, ArrayBuffer, Uint8Array};
    use otjr::{
        platform::DeviceChoice,
        protocol::{Command, Event, decode, encode},
        session::{Latest, Session},
    };
    use wasm_bindgen::prelude::*;
    use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, PromiseRejectionEvent};

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
        waiting: RefCell<VecDeque<Command>>,
        /// Away while a command is carried out.
        session: Cell<Option<Session>>,
        latest: Latest,
    }

    impl Line {
        fn receive(self: &Rc<Self>, command: Command) {
            self.latest.set(command.attack().unwrap_or(0));
            self.waiting.borrow_mut().push_back(command);
            if let Some(session) = self.session.take() {
                wasm_bindgen_futures::spawn_local(self.clone().work(session));
            }
        }

        async fn work(self: Rc<Self>, mut session: Session) {
            while let Some(command) = self.next() {
                session.handle(DEVICE, command, &emit).await;
            }
            self.session.set(Some(session));
        }

        fn next(&self) -> Option<Command> {
            self.waiting.borrow_mut().pop_front()
        }
    }

    /// A command and the file beside it, if it has one.
    fn read(message: &Array) -> Result<Command, String> {
        let mut command: Command = decode(&Uint8Array::new(&message.get(0)).to_vec())?;
        if let (Some(bytes), Some(file)) = (command.file(), message.get(1).dyn_ref::<ArrayBuffer>()) {
            *bytes = Uint8Array::new(file).to_vec();
        }
        Ok(command)
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
        last_words();
        let session = Session::default();
        let latest = session.latest.clone();
        let line = Rc::new(Line { waiting: RefCell::default(), session: Cell::new(Some(session)), latest });
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
