//! Ctrl-C, and being told to end.

use std::{
    ops::ControlFlow,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// Raised by the first Ctrl-C (SIGINT) or SIGTERM, upon which a program saves and ends; the second ends it at once.
#[derive(Clone)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    pub fn listen() -> anyhow::Result<Self> {
        let (signal, raised) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for number in [SIGINT, SIGTERM] {
            // In this order: the first signal does not yet find the flag that it raises.
            flag::register_conditional_shutdown(number, 128 + number, raised.clone())?;
            flag::register(number, raised.clone())?;
            flag::register_usize(number, signal.clone(), number as usize)?;
        }
        Ok(Self(signal))
    }

    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    pub fn flow(&self) -> ControlFlow<()> {
        if self.raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// What a program ends with that saved because of this: to a scheduler that takes the machine back, nothing failed.
    pub fn exit_code(&self) -> ExitCode {
        if self.0.load(Ordering::Relaxed) == SIGTERM as usize { ExitCode::SUCCESS } else { ExitCode::from(130) }
    }
}
