//! Who computes: workers that die, GPUs that come and fail, and the word of the user.

use otjr::{
    app::{
        domain::{
            action::{Msg, UserAction},
            backend::{BackendKind, BackendPreference, GpuAdapter},
            builtin_model::BuiltinModel,
            effect::Effect,
            file_kind::FileKind,
            source::Source,
        },
        present::backend::backend_line,
        state::State,
        update::backend::MAX_RESTARTS,
    },
    protocol::{Command, ErrorScope, Event},
    verify,
};

use super::{attacked, attacking, crash, opened, result, user};

#[test]
fn a_dead_worker_is_started_again_a_few_times_with_the_same_image() {
    let mut state = attacking("#sample=3");
    user(&mut state, UserAction::OpenFile(0, FileKind::Model)); // the culprit
    for _ in 0..MAX_RESTARTS {
        assert_eq!(crash(&mut state, BackendKind::Cpu), [Effect::StopWorker, Effect::StartWorker(BackendKind::Cpu)]);
        let tasks = state.apply(Msg::Worker(BackendKind::Cpu, opened()));
        let sample = Effect::Send(Command::LoadSample { index: 3 });
        assert_eq!(tasks, [Effect::ActivateWorker, sample, Effect::LoadModel(Source::Builtin(BuiltinModel::ROBUST))]);
    }
    assert_eq!(crash(&mut state, BackendKind::Cpu), [Effect::StopWorker]);
    assert!(state.notices.iter().any(|n| n.text.contains("Reload")), "{:?}", state.notices);
    assert_eq!(backend_line(&state).0, "Stopped");
}

#[test]
fn a_worker_whose_threads_do_not_start_is_replaced_by_one_without() {
    let (mut state, _) = State::new("#sample=3");
    assert_eq!(
        state.apply(Msg::ThreadsNotStarted(BackendKind::Cpu)),
        [Effect::DropStartingWorker, Effect::StartWorker(BackendKind::Cpu)]
    );
    assert!(state.backend.cpu_crashed, "{:?}", state.notices);
    assert!(state.notices[0].text.contains("one thread"), "{:?}", state.notices);
    assert_eq!(backend_line(&state), ("CPU".into(), "starting".into()));
    assert_eq!(state.apply(Msg::Worker(BackendKind::Cpu, opened()))[0], Effect::ActivateWorker);
    // A late report about a worker that runs, or that is no longer starting, changes nothing.
    let before = state.clone();
    assert_eq!(
        (state.apply(Msg::ThreadsNotStarted(BackendKind::Cpu)), state.apply(Msg::ThreadsNotStarted(BackendKind::Gpu))),
        (vec![], vec![])
    );
    assert_eq!(state, before);
    // The other worker continues to compute.
    let mut state = State::new("#backend=gpu").0;
    state.apply(Msg::Worker(BackendKind::Gpu, opened()));
    assert_eq!(
        user(&mut state, UserAction::SetBackend(BackendPreference::Cpu)),
        [Effect::StartWorker(BackendKind::Cpu)]
    );
    assert_eq!(
        state.apply(Msg::ThreadsNotStarted(BackendKind::Cpu)),
        [Effect::DropStartingWorker, Effect::StartWorker(BackendKind::Cpu)]
    );
    assert!(state.backend.current.is_some());
}

#[test]
fn a_lost_device_is_a_dead_worker() {
    let mut state = attacking("");
    let lost = Event::Failed { scope: ErrorScope::Device, message: "the device failed".into() };
    assert_eq!(
        state.apply(Msg::Worker(BackendKind::Cpu, lost)),
        [Effect::StopWorker, Effect::StartWorker(BackendKind::Cpu)]
    );
}

#[test]
fn a_real_gpu_takes_over_when_it_is_ready_and_an_emulated_one_never() {
    let mut state = attacking("");
    let real = GpuAdapter::from_info("nvidia", "ampere", "", false);
    assert_eq!(state.apply(Msg::Adapter(real)), [Effect::StartWorker(BackendKind::Gpu)]);
    // The CPU goes on meanwhile.
    let done = attacked(1, false, result([0.9, 0.05, 0.05], false));
    state.apply(Msg::Worker(BackendKind::Cpu, done));
    assert!(state.attack.result.is_some());
    let tasks =
        state.apply(Msg::Worker(BackendKind::Gpu, Event::DeviceReady { name: "WebGPU".into(), emulated: false }));
    assert_eq!(tasks[0], Effect::ActivateWorker);
    assert_eq!(backend_line(&state), ("WebGPU on nvidia ampere".into(), "because this browser offers a GPU".into()));

    for soft in [GpuAdapter::from_info("google", "swiftshader", "", false), GpuAdapter::from_info("x", "", "", true)] {
        let mut state = attacking("");
        assert_eq!(state.apply(Msg::Adapter(soft)), []);
        assert!(backend_line(&state).1.contains("emulated"), "{:?}", backend_line(&state));
    }
    let mut state = attacking("#backend=cpu");
    assert_eq!(state.apply(Msg::Adapter(GpuAdapter::Real("x".into()))), []);
    assert_eq!(backend_line(&state).1, "as selected");
}

#[test]
fn a_gpu_that_fails_leaves_the_cpu() {
    // While the CPU runs.
    let mut state = attacking("");
    state.apply(Msg::Adapter(GpuAdapter::Real("x".into())));
    assert_eq!(crash(&mut state, BackendKind::Gpu), [Effect::DropStartingWorker]);
    assert_eq!(backend_line(&state).1, "because WebGPU failed here");
    // Alone.
    let (mut state, tasks) = State::new("#backend=gpu");
    assert_eq!(tasks, [Effect::StartWorker(BackendKind::Gpu)]);
    let refused = Event::Failed { scope: ErrorScope::Device, message: "no usable GPU".into() };
    assert_eq!(
        state.apply(Msg::Worker(BackendKind::Gpu, refused)),
        [Effect::DropStartingWorker, Effect::StartWorker(BackendKind::Cpu)]
    );
}

#[test]
fn the_user_chooses_who_computes() {
    let mut state = attacking("");
    assert_eq!(
        user(&mut state, UserAction::SetBackend(BackendPreference::Gpu)),
        [Effect::StartWorker(BackendKind::Gpu)]
    );
    assert_eq!(user(&mut state, UserAction::SetBackend(BackendPreference::Cpu)), [Effect::DropStartingWorker]);
    assert!(state.hash().ends_with("backend=cpu"));
}

#[test]
fn a_fixture_is_checked_on_every_backend_in_turn() {
    let mut state = attacking("");
    let tell = |state: &mut State, event| state.apply(Msg::Worker(BackendKind::Cpu, event));
    assert_eq!(state.apply(Msg::User(UserAction::OpenFile(4, FileKind::Fixture))), [Effect::LoadFixture(4)]);
    let check = verify::GroupCheck { group: "eval".into(), worst: "eval.logits".into(), error: 1e-6, tensors: 5 };
    let checks = vec![check];
    tell(&mut state, Event::Verified { checks: checks.clone(), milliseconds: 9.0 });
    assert_eq!(state.backend_check.as_ref().map(|c| &c.groups), Some(&checks));
    // Another worker's arithmetic is another one's.
    state.apply(Msg::User(UserAction::SetBackend(BackendPreference::Gpu)));
    let tasks = state.apply(Msg::Worker(BackendKind::Gpu, opened()));
    assert!(tasks.contains(&Effect::LoadFixture(4)));
    assert!(state.backend_check.as_ref().is_some_and(|c| c.groups.is_empty()));
    let refused = Event::Failed { scope: ErrorScope::Fixture, message: "no".into() };
    state.apply(Msg::Worker(BackendKind::Gpu, refused));
    assert_eq!((state.backend_check.is_none(), state.notices.len()), (true, 1));
}
