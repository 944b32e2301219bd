//! Which worker computes: one in use, perhaps one on its way to take its place. Part of the fold in `state`.

use super::{
    link::Wish,
    message::{Kind, Task},
    reading::Adapter,
    state::{Phase, State},
};
use crate::protocol::Event;

/// A worker that dies more often than this is not started again.
pub const RESTARTS: u32 = 3;

/// Who computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend {
    /// The worker in use, with its device's name.
    pub current: Option<(Kind, String)>,
    /// The worker that is being started.
    pub coming: Option<Kind>,
    /// What GPU the browser has, once it said so.
    pub adapter: Option<Adapter>,
    /// Why the GPU was given up, if it was.
    pub given_up: Option<String>,
    pub crashes: u32,
    /// The CPU's worker has died, or its threads did not start: it is started without threads. Memory that they share may be
    /// what was missing.
    pub cpu_crashed: bool,
}

impl State {
    pub(super) fn start(&mut self, kind: Kind) -> Vec<Task> {
        let current = self.backend.current.as_ref().map(|(kind, _)| *kind);
        let discard =
            self.backend.coming.take_if(|coming| *coming != kind || current == Some(kind)).map(|_| Task::Discard);
        let mut tasks = Vec::new();
        let start = current != Some(kind) && self.backend.coming != Some(kind);
        if start {
            // While it starts: it takes the run up from the copy.
            tasks = self.keep();
            self.backend.coming = Some(kind);
        }
        tasks.extend(discard);
        tasks.extend(start.then_some(Task::Start(kind)));
        tasks
    }

    /// A real GPU takes over from the CPU, once that is at work: something is to be seen meanwhile.
    pub(super) fn prefer_gpu(&mut self) -> Vec<Task> {
        let real = self.backend.adapter.as_ref().is_some_and(Adapter::is_real) && self.backend.given_up.is_none();
        let wanted = real && self.link.backend == Wish::Auto && self.backend.current.is_some();
        if wanted { self.start(Kind::Gpu) } else { Vec::new() }
    }

    pub(super) fn hear_coming(&mut self, kind: Kind, event: Event) -> Vec<Task> {
        match event {
            Event::Opened { name, .. } => {
                self.backend.coming = None;
                self.backend.current = Some((kind, name));
                self.cut_short();
                self.sides.forget();
                self.stop_asking();
                let mut tasks = vec![Task::Promote];
                tasks.extend(self.load_reference());
                tasks.extend(self.load_picture());
                tasks.extend(self.load_model());
                tasks.extend(self.load_check());
                tasks.extend(self.train_again());
                tasks.extend(self.prefer_gpu());
                tasks
            }
            Event::Refused { text, .. } => self.crashed(kind, &text),
            _ => Vec::new(),
        }
    }

    /// A worker is gone. A GPU that fails to start is given up; what worked once is tried again.
    pub(super) fn crashed(&mut self, kind: Kind, why: &str) -> Vec<Task> {
        let was_coming = self.backend.coming.take_if(|coming| *coming == kind).is_some();
        let mut tasks = Vec::new();
        if was_coming {
            tasks.push(Task::Discard);
        } else {
            tasks.push(Task::End);
            self.backend.current = None;
            self.attack.phase = Phase::Idle;
            self.sides.forget();
            self.stop_asking();
            self.cut_short();
            self.training_crashed();
            // Whatever was on its way may have been the cause.
            self.check = None;
            self.model_wanted = self.model_in_use.or(self.model_wanted);
            self.picture_wanted = self.picture_in_use.or(self.picture_wanted);
        }
        self.backend.crashes += 1;
        self.backend.cpu_crashed |= kind == Kind::Cpu;
        let next = match kind {
            Kind::Gpu if was_coming || self.backend.crashes > RESTARTS => {
                self.backend.given_up = Some(why.to_owned());
                self.notice(format!("WebGPU failed ({why}). The CPU goes on."));
                Some(Kind::Cpu)
            }
            _ if self.backend.crashes > RESTARTS => {
                self.notice(format!("The computation failed again ({why}). Reload the page to try once more."));
                None
            }
            _ => {
                self.notice(format!(
                    "The computation failed ({why}). It was started again with the same model and picture."
                ));
                Some(kind)
            }
        };
        tasks.extend(next.into_iter().flat_map(|kind| self.start(kind)));
        tasks
    }

    /// A worker's threads did not start in time: it is replaced by one without threads.
    pub(super) fn late(&mut self, kind: Kind) -> Vec<Task> {
        if self.backend.coming.take_if(|coming| *coming == kind).is_none() {
            return Vec::new();
        }
        self.backend.cpu_crashed = true;
        self.notice(
            "The threads of the computation did not start in time. It continues with one thread, which is slower. \
             Reload the page to try again with more."
                .into(),
        );
        let mut tasks = vec![Task::Discard];
        tasks.extend(self.start(kind));
        tasks
    }

    /// Takes the visitor's word on who shall compute.
    pub(super) fn choose(&mut self, wish: Wish) -> Vec<Task> {
        self.link.backend = wish;
        (self.backend.crashes, self.backend.cpu_crashed) = (0, false);
        self.backend.given_up = None;
        match wish {
            Wish::Cpu => self.start(Kind::Cpu),
            Wish::Gpu => self.start(Kind::Gpu),
            Wish::Auto if self.backend.adapter.as_ref().is_some_and(Adapter::is_real) => self.start(Kind::Gpu),
            Wish::Auto => self.start(Kind::Cpu),
        }
    }
}
