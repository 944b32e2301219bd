//! Handling of Ctrl-C and SIGTERM.

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

/// Flag that the first Ctrl-C (SIGINT) or SIGTERM sets. The program then saves its state and exits. A second signal
/// ends it immediately.
#[derive(Clone)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn listen() -> anyhow::Result<Self> {
        let (signal, raised) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for number in [SIGINT, SIGTERM] {
            // The order matters: at the first signal, the flag for an immediate exit is not set yet.
            flag::register_conditional_shutdown(number, 128 + number, raised.clone())?;
            flag::register(number, raised.clone())?;
            flag::register_usize(number, signal.clone(), number as usize)?;
        }
        Ok(Self(signal))
    }

    /// Returns whether a signal was received.
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Returns `Break` if a signal was received.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Returns the exit code of a program that saved its state because of a signal: 0 after SIGTERM, so that schedulers
    /// do not report a failure, and 130 after Ctrl-C.
    pub fn exit_code(&self) -> ExitCode {
        if self.0.load(Ordering::Relaxed) == SIGTERM as usize { ExitCode::SUCCESS } else { ExitCode::from(130) }
    }
}
