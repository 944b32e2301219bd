//! Who computes: workers that die, GPUs that come and fail, and the word of the user.

use otjr::{
    app::{
        link::{BuiltinModel, Wish},
        message::{Input, Kind, Sort, Source, Task, UserAction},
        reading::{Adapter, backend},
        state::State,
        workers::RESTARTS,
    },
    protocol::{Command, ErrorScope, Event},
    verify,
};

use super::{attacked, attacking, crash, opened, result, user};

#[test]
fn a_dead_worker_is_started_again_a_few_times_with_the_same_image() {
    let mut state = attacking("#sample=3");
    user(&mut state, UserAction::File(0, Sort::Model)); // the culprit
    for _ in 0..RESTARTS {
        assert_eq!(crash(&mut state, Kind::Cpu), [Task::End, Task::Start(Kind::Cpu)]);
        let tasks = state.apply(Input::Worker(Kind::Cpu, opened()));
        let sample = Task::Send(Command::LoadSample { index: 3 });
        assert_eq!(tasks, [Task::Promote, sample, Task::LoadModel(Source::Ours(BuiltinModel::ROBUST))]);
    }
    assert_eq!(crash(&mut state, Kind::Cpu), [Task::End]);
    assert!(state.notices.iter().any(|n| n.text.contains("Reload")), "{:?}", state.notices);
    assert_eq!(backend(&state).0, "Stopped");
}

#[test]
fn a_lost_device_is_a_dead_worker() {
    let mut state = attacking("");
    let lost = Event::Failed { subject: ErrorScope::Device, text: "the device failed".into() };
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
    let tasks = state.apply(Input::Worker(Kind::Gpu, Event::DeviceReady { name: "WebGPU".into(), emulated: false }));
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
    let refused = Event::Failed { subject: ErrorScope::Device, text: "no usable GPU".into() };
    assert_eq!(state.apply(Input::Worker(Kind::Gpu, refused)), [Task::Discard, Task::Start(Kind::Cpu)]);
}

#[test]
fn the_user_chooses_who_computes() {
    let mut state = attacking("");
    assert_eq!(user(&mut state, UserAction::Backend(Wish::Gpu)), [Task::Start(Kind::Gpu)]);
    assert_eq!(user(&mut state, UserAction::Backend(Wish::Cpu)), [Task::Discard]);
    assert!(state.hash().ends_with("backend=cpu"));
}

#[test]
fn a_fixture_is_checked_on_every_backend_in_turn() {
    let mut state = attacking("");
    let tell = |state: &mut State, event| state.apply(Input::Worker(Kind::Cpu, event));
    assert_eq!(state.apply(Input::User(UserAction::File(4, Sort::Fixture))), [Task::Verify(4)]);
    let check = verify::Check { group: "eval".into(), worst: "eval.logits".into(), error: 1e-6, tensors: 5 };
    let checks = vec![check];
    tell(&mut state, Event::Verified { checks: checks.clone(), milliseconds: 9.0 });
    assert_eq!(state.check.as_ref().map(|c| &c.groups), Some(&checks));
    // Another worker's arithmetic is another one's.
    state.apply(Input::User(UserAction::Backend(Wish::Gpu)));
    let tasks = state.apply(Input::Worker(Kind::Gpu, opened()));
    assert!(tasks.contains(&Task::Verify(4)) && state.check.as_ref().is_some_and(|c| c.groups.is_empty()));
    let refused = Event::Failed { subject: ErrorScope::Fixture, text: "no".into() };
    state.apply(Input::Worker(Kind::Gpu, refused));
    assert_eq!((state.check.is_none(), state.notices.len()), (true, 1));
}
