//! Training in the page's state: a run trains whenever nothing else is to be done, is kept, taken up again, compared.

use otjr::{
    app::{
        domain::{
            action::{Msg, TrainingAction, UserAction},
            backend::{BackendKind, BackendPreference, GpuAdapter},
            builtin_model::BuiltinModel,
            effect::Effect,
            saved_run::SavedRun,
            source::Source,
        },
        state::{
            State,
            run::{Run, RunPhase},
        },
    },
    evaluate::{Accuracy, Report},
    protocol::{
        Command, ErrorScope, Event, ExportPurpose, InitFrom, RunInfo, RunSnapshot, Slot, TrainingDataInfo,
        UploadedDataset,
    },
    settings::Settings,
    train::{Record, TrainConfig},
};

use super::{attacked, attacking, crash, model_at, opened, receive, result, user};

fn info(step: u64) -> RunInfo {
    let settings = TrainConfig::demo().to_pairs();
    RunInfo {
        settings,
        architecture: "wrn-10-1".into(),
        step,
        steps: 400,
        batch: 64,
        images: 3200,
        ..RunInfo::default()
    }
}

fn prepared(step: u64) -> Event {
    Event::RunReady { run: Box::new(info(step)) }
}

fn record(step: u64) -> Record {
    Record { step, epoch: 1, rate: 0.1, loss: 2.0, ce: 1.5, distance: Some(0.4), jacobian: Some(20.0) }
}

fn trained(id: u64, step: u64, over: bool) -> Event {
    let look = RunSnapshot { step, clean: 0.5, robust: 0.25, batch: None, tracked: None };
    Event::TrainProgress {
        id,
        step,
        records: vec![record(step)],
        snapshot: Some(Box::new(look)),
        images_per_second: 128.0,
        memory: 1 << 20,
        finished: over,
    }
}

fn train_action(state: &mut State, wish: TrainingAction) -> Vec<Effect> {
    user(state, UserAction::Train(wish))
}

/// The number of the command to train that is among the tasks.
fn training(tasks: &[Effect]) -> Option<(u64, u64)> {
    tasks.iter().find_map(|task| match task {
        Effect::Send(Command::Train { id, steps }) => Some((*id, *steps)),
        _ => None,
    })
}

fn exported(number: u64, step: u64) -> Event {
    Event::RunExported { number, purpose: ExportPurpose::AutoSave, name: "n".into(), step, bytes: vec![1, 2] }
}

/// A page with nothing else to do, as the standard model could not be had.
fn idle() -> State {
    let mut state = attacking("");
    let id = state.attack.id;
    let tasks = receive(&mut state, attacked(id, false, result([0.9, 0.05, 0.05], false)));
    assert_eq!(tasks, [Effect::LoadModel(Source::Builtin(BuiltinModel::STANDARD))]);
    state.permalink.view = None;
    state.apply(Msg::ReadFailed(ErrorScope::Model, "gone".into()));
    state
}

/// A run under way, with the number of the command under which it trains.
fn under_way() -> (State, u64) {
    let mut state = idle();
    let tasks = train_action(&mut state, TrainingAction::Start(77));
    assert!(
        matches!(&tasks[..], [Effect::Send(Command::PrepareRun { init_from: InitFrom::Scratch, .. })]),
        "{tasks:?}"
    );
    assert_eq!(train_action(&mut state, TrainingAction::Start(78)), [], "one at a time");
    let tasks = receive(&mut state, prepared(0));
    let keep = Effect::Send(Command::ExportRun { number: 77, purpose: ExportPurpose::AutoSave });
    assert_eq!(tasks[0], keep, "kept before its first step");
    let (id, steps) = training(&tasks).unwrap();
    assert_eq!(steps, u64::MAX);
    let tasks = receive(&mut state, exported(77, 0));
    assert!(
        matches!(&tasks[..], [Effect::SaveRun(copy)] if copy.number == 77 && copy.description.contains("step 0 of 400")),
        "{tasks:?}"
    );
    (state, id)
}

#[test]
fn everything_else_goes_before_training() {
    let (mut state, id) = under_way();
    assert_eq!(receive(&mut state, trained(id, 5, false)), []);
    // An attack interrupts it; once that is over it goes on.
    let tasks = user(&mut state, UserAction::Rerun);
    assert!(matches!(&tasks[..], [Effect::StartAttackTimer(_)]));
    state.apply(Msg::AttackTimerFired);
    assert_eq!(receive(&mut state, trained(id, 6, true)), [], "the attack first");
    let attack = state.attack.id;
    let tasks = receive(&mut state, attacked(attack, false, result([0.9, 0.05, 0.05], false)));
    let (next, _) = training(&tasks).unwrap();
    assert!(next > attack);
    // What interrupts for a moment only, such as a file, lets it go on at once.
    let tasks = receive(&mut state, trained(next, 7, true));
    let (next, _) = training(&tasks).unwrap();
    let run = state.training.run.as_ref().unwrap();
    assert_eq!((run.step, run.records.len(), run.points.len()), (7, 3, 3));
    assert_eq!(run.seconds_left(), Some(393.0 * 64.0 / 128.0));
    // What comes of an earlier command says nothing.
    receive(&mut state, trained(id, 400, true));
    assert_eq!(state.training.run.as_ref().unwrap().step, 7);
    // In the end a last look, even if it was interrupted.
    let over = Event::TrainProgress {
        id: next,
        step: 400,
        records: Vec::new(),
        snapshot: None,
        images_per_second: 0.0,
        memory: 0,
        finished: true,
    };
    let (next, _) = training(&receive(&mut state, over)).unwrap();
    // And a last copy.
    let tasks = receive(&mut state, trained(next, 400, true));
    assert_eq!(tasks, [Effect::Send(Command::ExportRun { number: 77, purpose: ExportPurpose::AutoSave })]);
    assert_eq!(state.training.run.as_ref().unwrap().phase, RunPhase::Finished);
    assert_eq!(train_action(&mut state, TrainingAction::Resume), []);
}

/// A copy is kept now and then, but not while something else is computed: that would end it.
#[test]
fn a_copy_ends_nothing_else() {
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 5, false));
    assert!(matches!(
        &train_action(&mut state, TrainingAction::SaveCopy)[..],
        [Effect::Send(Command::ExportRun { .. })]
    ));
    user(&mut state, UserAction::AttackBatch(50));
    assert_eq!(train_action(&mut state, TrainingAction::SaveCopy), []);
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 5, false));
    user(&mut state, UserAction::Rerun);
    state.apply(Msg::AttackTimerFired);
    assert_eq!(train_action(&mut state, TrainingAction::SaveCopy), []);
}

/// The copy of a run that never moved takes no place among those that are kept.
#[test]
fn a_run_that_never_moved_is_forgotten() {
    let (mut state, _) = under_way();
    assert!(train_action(&mut state, TrainingAction::Close).contains(&Effect::DeleteSavedRun(77)));
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 5, false));
    assert!(!train_action(&mut state, TrainingAction::Close).contains(&Effect::DeleteSavedRun(77)));
    assert_eq!(state.training.archived.len(), 1);
}

/// A worker that starts anew is told of the images that were labeled; and not given again what it died of.
#[test]
fn labels_outlive_a_worker_and_a_deadly_set_does_not() {
    let mut state = idle();
    let label = Effect::Send(Command::AddLabeledImage { class: "teapot".into(), pixels: vec![9; 3072] });
    assert_eq!(train_action(&mut state, TrainingAction::LabelImage("teapot".into())), std::slice::from_ref(&label));
    assert_eq!(train_action(&mut state, TrainingAction::UseDataset(4)), [Effect::LoadDataset(4)]);
    crash(&mut state, BackendKind::Cpu);
    assert!(
        state.notices.iter().any(|n| n.text.contains("too many for the memory of this device")),
        "{:?}",
        state.notices
    );
    let tasks = receive(&mut state, opened());
    assert!(tasks.contains(&label), "{tasks:?}");
    assert!(!tasks.contains(&Effect::LoadDataset(4)), "{tasks:?}");
    train_action(&mut state, TrainingAction::ClearLabels);
    crash(&mut state, BackendKind::Cpu);
    assert!(!receive(&mut state, opened()).contains(&label));
}

#[test]
fn pause_go_on_and_single_steps() {
    let (mut state, id) = under_way();
    assert_eq!(train_action(&mut state, TrainingAction::Pause), [Effect::Send(Command::Stop)]);
    assert_eq!(receive(&mut state, trained(id, 3, true)), []);
    let (id, steps) = training(&train_action(&mut state, TrainingAction::Step)).unwrap();
    assert_eq!(steps, 1);
    assert_eq!(receive(&mut state, trained(id, 4, true)), []);
    assert_eq!(state.training.run.as_ref().unwrap().phase, RunPhase::Paused);
    // An attack does not wake it.
    user(&mut state, UserAction::Rerun);
    state.apply(Msg::AttackTimerFired);
    let attack = state.attack.id;
    let tasks = receive(&mut state, attacked(attack, false, result([0.9, 0.05, 0.05], false)));
    assert_eq!(training(&tasks), None);
    assert!(training(&train_action(&mut state, TrainingAction::Resume)).is_some());
}

#[test]
fn a_setting_changes_the_run_if_it_may() {
    let (mut state, _) = under_way();
    let tasks = train_action(&mut state, TrainingAction::Set("rate", "0.05".into()));
    assert_eq!(tasks, [Effect::Send(Command::UpdateSettings { settings: vec![("rate".into(), "0.05".into())] })]);
    assert_eq!(train_action(&mut state, TrainingAction::Set("batch", "32".into())), [], "of the next run");
    assert_eq!(state.permalink.train.batch, 32);
    assert_eq!(train_action(&mut state, TrainingAction::Set("batch", "x".into())), []);
    assert_eq!(state.notices.len(), 2);
    // It is part of the address, and read from there.
    assert!(state.hash().contains("&train.batch=32&train.rate=0.05"), "{}", state.hash());
    assert_eq!(State::new(&state.hash()).0.permalink.train, state.permalink.train);
}

/// A worker that dies takes nothing with it but the steps since the last copy.
#[test]
fn a_crash_costs_the_steps_since_the_copy() {
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 20, false));
    assert_eq!(
        train_action(&mut state, TrainingAction::SaveCopy),
        [Effect::Send(Command::ExportRun { number: 77, purpose: ExportPurpose::AutoSave })]
    );
    receive(&mut state, exported(77, 20));
    assert_eq!(train_action(&mut state, TrainingAction::SaveCopy), [], "there is nothing new");
    receive(&mut state, trained(id, 25, false));
    for (batch, restart) in [(0, 1), (32, 2)] {
        assert_eq!(crash(&mut state, BackendKind::Cpu), [Effect::StopWorker, Effect::StartWorker(BackendKind::Cpu)]);
        let tasks = state.apply(Msg::Worker(BackendKind::Cpu, opened()));
        assert!(tasks.contains(&Effect::ResumeSavedRun(77, batch)), "{restart}: {tasks:?}");
        assert_eq!(training(&tasks), None, "not before it is there");
        // What is set meanwhile is told the worker once it has the run.
        let rate = restart.to_string();
        assert_eq!(train_action(&mut state, TrainingAction::Set("rate", rate.clone())), []);
        let tasks = receive(&mut state, prepared(20));
        assert_eq!(tasks[0], Effect::Send(Command::UpdateSettings { settings: vec![("rate".into(), rate)] }));
        assert!(training(&tasks).is_some(), "{tasks:?}");
        let run = state.training.run.as_ref().unwrap();
        assert_eq!((run.step, run.phase, run.records.len()), (20, RunPhase::Running, 1));
    }
    let texts: Vec<_> = state.notices.iter().map(|n| n.text.as_str()).collect();
    assert!(texts.iter().any(|t| t.contains("from the copy at step 20. 5 steps are repeated.")), "{texts:?}");
}

#[test]
fn an_earlier_run_is_taken_up_or_deleted() {
    let mut state = idle();
    let earlier = [7, 8].map(|number| SavedRun { number, description: "otjr".into() }).to_vec();
    state.apply(Msg::SavedItemsFound(earlier, vec![("set.zip".into(), 0)]));
    assert_eq!(train_action(&mut state, TrainingAction::DeleteSaved(8)), [Effect::DeleteSavedRun(8)]);
    assert_eq!(train_action(&mut state, TrainingAction::ResumeSaved(7)), [Effect::ResumeSavedRun(7, 0)]);
    let tasks = receive(&mut state, prepared(120));
    assert_eq!(training(&tasks), None, "it waits for a word");
    let run = state.training.run.as_ref().unwrap();
    assert_eq!((run.number, run.step, run.phase), (7, 120, RunPhase::Paused));
    assert!(state.training.saved_runs.is_empty());
    // One that is refused leaves what there is.
    train_action(&mut state, TrainingAction::ResumeFile(3, 9));
    let refused = Event::Failed { scope: ErrorScope::Training, message: "no run".into() };
    receive(&mut state, refused);
    assert_eq!(state.training.run.as_ref().unwrap().number, 7);
    assert!(!state.training.is_preparing());
    assert_eq!(
        train_action(&mut state, TrainingAction::DeleteDataset("set.zip".into())),
        [Effect::DeleteDataset("set.zip".into())]
    );
    assert!(state.training.saved_datasets.is_empty());
}

#[test]
fn data_is_brought_again_to_a_new_worker() {
    let (mut state, _) = under_way();
    assert_eq!(train_action(&mut state, TrainingAction::UseDataset(2)), [Effect::LoadDataset(2)]);
    let uploaded = Some(UploadedDataset {
        name: "c.tar.gz".into(),
        kind: "cifar10".into(),
        train_images: 50_000,
        test_images: 10_000,
    });
    let data = TrainingDataInfo { uploaded, classes: vec!["cat".into()], labeled: Vec::new() };
    receive(&mut state, Event::TrainingData { data });
    assert_eq!(state.permalink.train.get("dataset").unwrap(), "cifar10");
    assert_eq!((state.permalink.train.limit, state.permalink.train.augment), (0, true));
    crash(&mut state, BackendKind::Cpu);
    let tasks = state.apply(Msg::Worker(BackendKind::Cpu, opened()));
    let at = |task: &Effect| tasks.iter().position(|t| t == task);
    assert!(at(&Effect::LoadDataset(2)).unwrap() < at(&Effect::ResumeSavedRun(77, 0)).unwrap(), "{tasks:?}");
    train_action(&mut state, TrainingAction::Set("dataset", "synthetic".into()));
    assert_eq!((state.permalink.train.limit, state.permalink.train.augment), (3200, false));
    // A set that cannot be read is given up.
    receive(&mut state, Event::Failed { scope: ErrorScope::Data, message: "broken".into() });
    assert_eq!(state.permalink.train.get("dataset").unwrap(), "synthetic");
}

/// Runs side by side, judged one after another by the same attack.
#[test]
fn runs_are_judged_alike() {
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 400, true));
    receive(&mut state, exported(77, 400));
    train_action(&mut state, TrainingAction::Start(90));
    let tasks = receive(&mut state, prepared(0));
    let (id, _) = training(&tasks).unwrap();
    receive(&mut state, exported(90, 0));
    receive(&mut state, trained(id, 9, false));
    assert_eq!(state.training.runs().map(|run| run.number).collect::<Vec<_>>(), [77, 90]);

    assert_eq!(train_action(&mut state, TrainingAction::EvaluateAll(200)), [Effect::LoadRunModel(77)]);
    receive(&mut state, trained(id, 10, true));
    let judge = |state: &mut State, robust: usize| {
        let tasks = receive(state, model_at(Slot::Run));
        let [Effect::Send(Command::Evaluate { id, slot: Slot::Run, images: 200, .. })] = &tasks[..] else {
            panic!("{tasks:?}")
        };
        let accuracy = Accuracy { images: 200, clean: 180, robust };
        let report = Report { accuracy, records: Vec::new(), flags: Vec::new(), part: 1.0 };
        receive(state, Event::EvaluationProgress { id: *id, report, finished: true, stopped: false })
    };
    // The run under way is judged as it is now.
    let tasks = judge(&mut state, 120);
    let [Effect::SaveHistory(77, history), export] = &tasks[..] else { panic!("{tasks:?}") };
    assert_eq!(*export, Effect::Send(Command::ExportRun { number: 90, purpose: ExportPurpose::AutoSave }));
    // The judgement is kept beside the copy.
    let mut later = idle();
    train_action(&mut later, TrainingAction::ResumeSaved(77));
    later.apply(Msg::HistoryLoaded(77, history.clone()));
    receive(&mut later, prepared(400));
    assert_eq!(later.training.run.as_ref().unwrap().evaluation, state.training.archived[0].evaluation);
    let tasks = receive(&mut state, exported(90, 10));
    assert!(tasks.contains(&Effect::LoadRunModel(90)), "{tasks:?}");
    let tasks = judge(&mut state, 60);
    assert!(training(&tasks).is_some(), "and then goes on");
    let judged = |run: &Run| run.evaluation.as_ref().map(|(a, r)| (a.clone(), r.accuracy.robust));
    let all: Vec<_> = state.training.runs().map(judged).collect();
    assert_eq!(all, [Some(("pgd linf 8/255".into(), 120)), Some(("pgd linf 8/255".into(), 60))]);
}

fn failed_event(subject: ErrorScope) -> Event {
    Event::Failed { scope: subject, message: format!("{subject:?}") }
}

/// Fewer epochs than are done end the run with a last look; the worker is not asked for more.
#[test]
fn a_run_ends_where_it_is_when_its_epochs_are_done() {
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 130, false));
    assert!(matches!(
        &train_action(&mut state, TrainingAction::Set("epochs", "2".into()))[..],
        [Effect::Send(Command::UpdateSettings { .. })]
    ));
    let tasks = receive(&mut state, trained(id, 131, true));
    let (id, _) = training(&tasks).unwrap();
    receive(&mut state, Event::RunReady { run: Box::new(RunInfo { steps: 100, ..info(131) }) });
    let tasks = receive(&mut state, trained(id, 131, true));
    assert_eq!(training(&tasks), None);
    assert_eq!(state.training.run.as_ref().unwrap().phase, RunPhase::Finished);
}

/// A run whose loss is no number keeps its last good copy: that is judged, and gone on with, as it was tuned since.
#[test]
fn a_diverged_run_is_taken_up_from_its_copy() {
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 20, false));
    assert_eq!(receive(&mut state, failed_event(ErrorScope::Diverged)), []);
    assert_eq!(train_action(&mut state, TrainingAction::SaveCopy), [], "nothing worth a copy");
    assert_eq!(train_action(&mut state, TrainingAction::EvaluateAll(200)), [Effect::LoadRunModel(77)]);
    receive(&mut state, failed_event(ErrorScope::Evaluation));
    assert!(matches!(
        &train_action(&mut state, TrainingAction::Set("rate", "0.01".into()))[..],
        [Effect::Send(Command::UpdateSettings { .. })]
    ));
    let mut tuned = info(20);
    tuned.settings.iter_mut().filter(|(key, _)| key == "rate").for_each(|(_, value)| *value = "0.01".into());
    receive(&mut state, Event::RunReady { run: Box::new(tuned) });
    assert_eq!(train_action(&mut state, TrainingAction::Resume), [Effect::ResumeSavedRun(77, 0)]);
    let tasks = receive(&mut state, prepared(0));
    assert_eq!(tasks[0], Effect::Send(Command::UpdateSettings { settings: vec![("rate".into(), "0.01".into())] }));
    assert!(training(&tasks).is_some(), "{tasks:?}");
    assert!(!state.training.run.as_ref().unwrap().diverged, "{tasks:?}");
}

/// A copy that cannot be had for evaluation is not waited for: what diverged is judged as it was, others are left out.
#[test]
fn judging_does_not_wait_for_a_copy_that_does_not_come() {
    for (subject, next) in [(ErrorScope::Diverged, true), (ErrorScope::Training, false), (ErrorScope::Export, false)] {
        let (mut state, id) = under_way();
        receive(&mut state, trained(id, 20, false));
        assert!(matches!(
            &train_action(&mut state, TrainingAction::EvaluateAll(200))[..],
            [Effect::Send(Command::ExportRun { .. })]
        ));
        let tasks = receive(&mut state, failed_event(subject));
        assert_eq!(tasks.contains(&Effect::LoadRunModel(77)), next, "{subject:?}: {tasks:?}");
        assert_eq!(state.training.run_evaluation.is_some(), next, "{subject:?}");
    }
}

/// To judge runs ends an attack, which is made anew after it.
#[test]
fn judging_gives_the_worker_back() {
    let (mut state, id) = under_way();
    user(&mut state, UserAction::Rerun);
    state.apply(Msg::AttackTimerFired);
    receive(&mut state, trained(id, 6, true));
    let tasks = train_action(&mut state, TrainingAction::EvaluateAll(200));
    assert_eq!(tasks[0], Effect::Send(Command::Stop));
    let attack = state.attack.id;
    receive(&mut state, attacked(attack, true, result([0.9, 0.05, 0.05], false)));
    assert!(receive(&mut state, failed_event(ErrorScope::Export)).contains(&Effect::StartAttackTimer(0)));
}

/// What a worker was preparing when another took its place is prepared there; what one may have died of is not.
#[test]
fn a_click_outlives_a_worker() {
    type Asked = fn(&Effect) -> bool;
    let cases: [(TrainingAction, Asked); 4] = [
        (TrainingAction::Start(90), |task| matches!(task, Effect::Send(Command::PrepareRun { .. }))),
        (TrainingAction::ResumeSaved(7), |task| *task == Effect::ResumeSavedRun(7, 0)),
        (TrainingAction::ResumeFile(3, 9), |task| *task == Effect::ResumeRunFile(3)),
        (TrainingAction::UseDataset(4), |task| *task == Effect::LoadDataset(4)),
    ];
    for (asks, asked) in cases {
        let (mut state, id) = under_way();
        receive(&mut state, trained(id, 5, false));
        assert!(train_action(&mut state, asks.clone()).iter().any(asked), "{asks:?}");
        assert_eq!(train_action(&mut state, TrainingAction::ResumeSaved(8)), [], "one at a time");
        user(&mut state, UserAction::SetBackend(BackendPreference::Gpu));
        let gpu = Event::DeviceReady { name: "WebGPU".into(), emulated: false };
        let tasks = state.apply(Msg::Worker(BackendKind::Gpu, gpu));
        assert!(tasks.iter().any(asked), "{asks:?}: {tasks:?}");
        let tasks = state.apply(Msg::Crashed(BackendKind::Gpu, "panicked".into()));
        assert!(tasks.contains(&Effect::StartWorker(BackendKind::Gpu)), "{tasks:?}");
        let gpu = Event::DeviceReady { name: "WebGPU".into(), emulated: false };
        let tasks = state.apply(Msg::Worker(BackendKind::Gpu, gpu));
        assert!(!tasks.iter().any(asked), "{asks:?}: {tasks:?}");
    }
}

/// The copy that a GPU takes the run up from is made while that starts, whoever wanted it.
#[test]
fn a_copy_is_made_for_the_next_worker() {
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 5, false));
    let tasks = state.apply(Msg::Adapter(GpuAdapter::Real("x".into())));
    assert_eq!(
        tasks,
        [
            Effect::Send(Command::ExportRun { number: 77, purpose: ExportPurpose::AutoSave }),
            Effect::StartWorker(BackendKind::Gpu)
        ]
    );
}

/// A run that was put away is taken up with all that is known of it, in place of the one under way, which is kept.
#[test]
fn a_run_that_was_put_away_comes_back() {
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 5, false));
    train_action(&mut state, TrainingAction::Close);
    receive(&mut state, trained(id, 5, true));
    receive(&mut state, exported(77, 5));
    train_action(&mut state, TrainingAction::Start(90));
    let (id, _) = training(&receive(&mut state, prepared(0))).unwrap();
    receive(&mut state, trained(id, 9, false));
    let keep = Effect::Send(Command::ExportRun { number: 90, purpose: ExportPurpose::AutoSave });
    assert_eq!(train_action(&mut state, TrainingAction::ResumeSaved(77)), [keep, Effect::ResumeSavedRun(77, 0)]);
    receive(&mut state, prepared(5));
    let run = state.training.run.as_ref().unwrap();
    assert_eq!((run.number, run.step, run.records.len(), run.points.len()), (77, 5, 1, 1));
    assert_eq!(state.training.archived.iter().map(|run| run.number).collect::<Vec<_>>(), [90]);
    assert_eq!(train_action(&mut state, TrainingAction::DeleteSaved(90)), [Effect::DeleteSavedRun(90)]);
    assert!(state.training.archived.is_empty());
    // One that a new worker refuses is put away: it can be tried again.
    crash(&mut state, BackendKind::Cpu);
    assert!(state.apply(Msg::Worker(BackendKind::Cpu, opened())).contains(&Effect::ResumeSavedRun(77, 0)));
    receive(&mut state, failed_event(ErrorScope::Training));
    assert!(state.training.run.is_none());
    assert!(train_action(&mut state, TrainingAction::ResumeSaved(77)) == [Effect::ResumeSavedRun(77, 0)]);
}

/// The course of a run, and how it was judged, outlive the page.
#[test]
fn the_course_of_a_run_is_kept_beside_its_copy() {
    let (mut state, id) = under_way();
    receive(&mut state, trained(id, 5, false));
    receive(&mut state, trained(id, 8, false));
    let tasks = receive(&mut state, exported(77, 5));
    let [Effect::SaveRun(copy)] = &tasks[..] else { panic!("{tasks:?}") };
    for (history, records) in [(copy.history.clone(), 1), (b"older".to_vec(), 0)] {
        let mut later = idle();
        later.apply(Msg::SavedItemsFound(vec![SavedRun { number: 77, description: "otjr".into() }], Vec::new()));
        train_action(&mut later, TrainingAction::ResumeSaved(77));
        later.apply(Msg::HistoryLoaded(77, history));
        receive(&mut later, prepared(5));
        let run = later.training.run.as_ref().unwrap();
        assert_eq!((run.number, run.records.len(), run.points.len()), (77, records, records), "up to the copy");
    }
}

/// A set is kept once it has been read, and offered at once; one that cannot be read leaves what there is.
#[test]
fn a_set_is_kept_once_it_is_read() {
    let mut state = idle();
    train_action(&mut state, TrainingAction::UseDataset(0));
    assert_eq!(receive(&mut state, failed_event(ErrorScope::Data)), []);
    train_action(&mut state, TrainingAction::UseDataset(1));
    assert_eq!(train_action(&mut state, TrainingAction::UseDataset(2)), [], "one at a time");
    // An image that is labeled meanwhile says nothing of the set.
    let labeled = vec![("teapot".to_owned(), 1)];
    let labeled = TrainingDataInfo {
        uploaded: Some(UploadedDataset {
            name: "before".into(),
            kind: "folder".into(),
            train_images: 9,
            test_images: 1,
        }),
        labeled,
        ..TrainingDataInfo::default()
    };
    assert_eq!(receive(&mut state, Event::TrainingData { data: labeled.clone() }), []);
    let data = |name: &str| {
        let uploaded = Some(UploadedDataset {
            name: name.into(),
            kind: "cifar10".into(),
            train_images: 50_000,
            test_images: 10_000,
        });
        Event::TrainingData { data: TrainingDataInfo { uploaded, ..labeled.clone() } }
    };
    assert_eq!(receive(&mut state, data("c.tar.gz")), [Effect::SaveDataset(1)]);
    state.apply(Msg::DatasetStored("c.tar.gz".into(), 1));
    assert_eq!(state.training.saved_datasets, [("c.tar.gz".to_owned(), 1)]);
    train_action(&mut state, TrainingAction::Set("limit", "500".into()));
    train_action(&mut state, TrainingAction::UseDataset(2));
    receive(&mut state, failed_event(ErrorScope::Data));
    assert_eq!((state.permalink.train.get("dataset").unwrap().as_str(), state.permalink.train.limit), ("cifar10", 500));
    crash(&mut state, BackendKind::Cpu);
    assert!(state.apply(Msg::Worker(BackendKind::Cpu, opened())).contains(&Effect::LoadDataset(1)));
    receive(&mut state, Event::TrainingData { data: TrainingDataInfo { uploaded: None, ..labeled.clone() } });
    // What was chosen since stays.
    train_action(&mut state, TrainingAction::Set("dataset", "synthetic".into()));
    assert_eq!(receive(&mut state, data("c.tar.gz")), []);
    assert_eq!(state.permalink.train.get("dataset").unwrap(), "synthetic");
    train_action(&mut state, TrainingAction::UseDataset(1));
    assert_eq!(receive(&mut state, data("c.tar.gz")), []);
    assert_eq!(state.permalink.train.get("dataset").unwrap(), "cifar10");
}

#[test]
fn a_phone_begins_with_less() {
    let (mut state, _) = State::new("");
    assert_eq!(state.apply(Msg::LowEndDevice), []);
    assert_eq!(state.permalink.train, TrainConfig::small());
    let (mut asked, _) = State::new("#train.epochs=3");
    asked.apply(Msg::LowEndDevice);
    assert_eq!((asked.permalink.train.epochs, asked.permalink.train.batch), (3, 64));
}
