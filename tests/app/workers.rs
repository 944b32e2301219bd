//! Who computes: workers that die, GPUs that come and fail, and the word of the visitor.

use otjr::{
    app::{
        link::{Shipped, Wish},
        message::{Input, Intent, Kind, Sort, Source, Task},
        reading::{Adapter, backend},
        state::State,
        workers::RESTARTS,
    },
    protocol::{Command, Event, Subject},
    verify,
};

use super::{attacked, attacking, crash, opened, result, visitor};

#[test]
fn a_dead_worker_is_started_again_a_few_times_with_the_same_picture() {
    let mut state = attacking("#sample=3");
    visitor(&mut state, Intent::File(0, Sort::Model)); // the culprit
    for _ in 0..RESTARTS {
        assert_eq!(crash(&mut state, Kind::Cpu), [Task::End, Task::Start(Kind::Cpu)]);
        let tasks = state.apply(Input::Worker(Kind::Cpu, opened()));
        let sample = Task::Send(Command::LoadSample { index: 3 });
        assert_eq!(tasks, [Task::Promote, sample, Task::LoadModel(Source::Ours(Shipped::ROBUST))]);
    }
    assert_eq!(crash(&mut state, Kind::Cpu), [Task::End]);
    assert!(state.notices.iter().any(|n| n.text.contains("Reload")), "{:?}", state.notices);
    assert_eq!(backend(&state).0, "Stopped");
}

#[test]
fn a_worker_whose_threads_do_not_start_is_replaced_by_one_without() {
    let (mut state, _) = State::new("#sample=3");
    assert_eq!(state.apply(Input::Late(Kind::Cpu)), [Task::Discard, Task::Start(Kind::Cpu)]);
    assert!(state.backend.cpu_crashed && state.notices[0].text.contains("one thread"), "{:?}", state.notices);
    assert_eq!(backend(&state), ("CPU".into(), "starting".into()));
    assert_eq!(state.apply(Input::Worker(Kind::Cpu, opened()))[0], Task::Promote);
    // What is at work is not late, nor is what nobody waits for any longer.
    let before = state.clone();
    assert_eq!((state.apply(Input::Late(Kind::Cpu)), state.apply(Input::Late(Kind::Gpu))), (vec![], vec![]));
    assert_eq!(state, before);
    // The other worker computes in the meantime.
    let mut state = State::new("#backend=gpu").0;
    state.apply(Input::Worker(Kind::Gpu, opened()));
    assert_eq!(visitor(&mut state, Intent::Backend(Wish::Cpu)), [Task::Start(Kind::Cpu)]);
    assert_eq!(state.apply(Input::Late(Kind::Cpu)), [Task::Discard, Task::Start(Kind::Cpu)]);
    assert!(state.backend.current.is_some());
}

#[test]
fn a_lost_device_is_a_dead_worker() {
    let mut state = attacking("");
    let lost = Event::Refused { subject: Subject::Device, text: "the device failed".into() };
    assert_eq!(state.apply(Input::Worker(Kind::Cpu, lost)), [Task::End, Task::Start(Kind::Cpu)]);
}

#[test]
fn a_real_gpu_takes_over_when_it_is_ready_and_an_emulated_one_never() {
    let mut state = attacking("");
    let real = Adapter::judge("nvidia", "ampere", "", false);
    assert_eq!(state.apply(Input::Adapter(real)), [Task::Start(Kind::Gpu)]);
    // The CPU goes on meanwhile.
    let done = attacked(1, false, result([0.9, 0.05, 0.05], false));
    state.apply(Input::Worker(Kind::Cpu, done));
    assert!(state.attack.result.is_some());
    let tasks = state.apply(Input::Worker(Kind::Gpu, Event::Opened { name: "WebGPU".into(), emulated: false }));
    assert_eq!(tasks[0], Task::Promote);
    assert_eq!(backend(&state), ("WebGPU on nvidia ampere".into(), "because this browser offers a GPU".into()));

    for soft in [Adapter::judge("google", "swiftshader", "", false), Adapter::judge("x", "", "", true)] {
        let mut state = attacking("");
        assert_eq!(state.apply(Input::Adapter(soft)), []);
        assert!(backend(&state).1.contains("emulated"), "{:?}", backend(&state));
    }
    let mut state = attacking("#backend=cpu");
    assert_eq!(state.apply(Input::Adapter(Adapter::Real("x".into()))), []);
    assert_eq!(backend(&state).1, "as chosen");
}

#[test]
fn a_gpu_that_fails_leaves_the_cpu() {
    // While the CPU runs.
    let mut state = attacking("");
    state.apply(Input::Adapter(Adapter::Real("x".into())));
    assert_eq!(crash(&mut state, Kind::Gpu), [Task::Discard]);
    assert_eq!(backend(&state).1, "because WebGPU failed here");
    // Alone.
    let (mut state, tasks) = State::new("#backend=gpu");
    assert_eq!(tasks, [Task::Start(Kind::Gpu)]);
    let refused = Event::Refused { subject: Subject::Device, text: "no usable GPU".into() };
    assert_eq!(state.apply(Input::Worker(Kind::Gpu, refused)), [Task::Discard, Task::Start(Kind::Cpu)]);
}

#[test]
fn the_visitor_chooses_who_computes() {
    let mut state = attacking("");
    assert_eq!(visitor(&mut state, Intent::Backend(Wish::Gpu)), [Task::Start(Kind::Gpu)]);
    assert_eq!(visitor(&mut state, Intent::Backend(Wish::Cpu)), [Task::Discard]);
    assert!(state.hash().ends_with("backend=cpu"));
}

#[test]
fn a_fixture_is_checked_on_every_backend_in_turn() {
    let mut state = attacking("");
    let tell = |state: &mut State, event| state.apply(Input::Worker(Kind::Cpu, event));
    assert_eq!(state.apply(Input::Visitor(Intent::File(4, Sort::Fixture))), [Task::Verify(4)]);
    let check = verify::Check { group: "eval".into(), worst: "eval.logits".into(), error: 1e-6, tensors: 5 };
    let checks = vec![check];
    tell(&mut state, Event::Verified { checks: checks.clone(), milliseconds: 9.0 });
    assert_eq!(state.check.as_ref().map(|c| &c.groups), Some(&checks));
    // Another worker's arithmetic is another one's.
    state.apply(Input::Visitor(Intent::Backend(Wish::Gpu)));
    let tasks = state.apply(Input::Worker(Kind::Gpu, opened()));
    assert!(tasks.contains(&Task::Verify(4)) && state.check.as_ref().is_some_and(|c| c.groups.is_empty()));
    let refused = Event::Refused { subject: Subject::Fixture, text: "no".into() };
    state.apply(Input::Worker(Kind::Gpu, refused));
    assert_eq!((state.check.is_none(), state.notices.len()), (true, 1));
}
