//! Training in the page's state: a run trains whenever nothing else is to be done, is kept, taken up again, compared.

use otjr::{
    app::{
        link::Shipped,
        message::{Input, Intent, Kind, Source, Task},
        state::State,
        training::{Earlier, Phase, Wish},
    },
    config::{Settings, TrainConfig},
    evaluate::{Accuracy, Report},
    protocol::{Command, DataInfo, Event, Look, Origin, Purpose, RunInfo, Slot, Subject},
    train::Record,
};

use super::{attacked, attacking, crash, hear, model_at, opened, result, visitor};

fn info(step: u64) -> RunInfo {
    let settings = TrainConfig::demo().pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    RunInfo {
        settings,
        architecture: "wrn-10-1".into(),
        step,
        steps: 400,
        batch: 64,
        pictures: 3200,
        ..RunInfo::default()
    }
}

fn prepared(step: u64) -> Event {
    Event::Prepared { run: Box::new(info(step)) }
}

fn record(step: u64) -> Record {
    Record { step, epoch: 1, rate: 0.1, loss: 2.0, ce: 1.5, distance: Some(0.4), jacobian: Some(20.0) }
}

fn trained(id: u64, step: u64, over: bool) -> Event {
    let look = Look { step, clean: 0.5, robust: 0.25, batch: None, followed: None };
    Event::Trained {
        id,
        step,
        records: vec![record(step)],
        look: Some(Box::new(look)),
        speed: 128.0,
        memory: 1 << 20,
        over,
    }
}

fn wish(state: &mut State, wish: Wish) -> Vec<Task> {
    visitor(state, Intent::Train(wish))
}

/// The number of the command to train that is among the tasks.
fn training(tasks: &[Task]) -> Option<(u64, u64)> {
    tasks.iter().find_map(|task| match task {
        Task::Send(Command::Train { id, steps }) => Some((*id, *steps)),
        _ => None,
    })
}

fn exported(number: u64, step: u64) -> Event {
    Event::Exported { number, purpose: Purpose::Keep, name: "n".into(), step, bytes: vec![1, 2] }
}

/// A page with nothing else to do, as the standard model could not be had.
fn idle() -> State {
    let mut state = attacking("");
    let id = state.attack.id;
    let tasks = hear(&mut state, attacked(id, false, result([0.9, 0.05, 0.05], false)));
    assert_eq!(tasks, [Task::LoadModel(Source::Ours(Shipped::STANDARD))]);
    state.link.view = None;
    state.apply(Input::Unreadable(Subject::Model, "gone".into()));
    state
}

/// A run under way, with the number of the command under which it trains.
fn under_way() -> (State, u64) {
    let mut state = idle();
    let tasks = wish(&mut state, Wish::Begin(77));
    assert!(matches!(&tasks[..], [Task::Send(Command::Begin { origin: Origin::Scratch, .. })]), "{tasks:?}");
    assert_eq!(wish(&mut state, Wish::Begin(78)), [], "one at a time");
    let tasks = hear(&mut state, prepared(0));
    let keep = Task::Send(Command::Export { number: 77, purpose: Purpose::Keep });
    assert_eq!(tasks[0], keep, "kept before its first step");
    let (id, steps) = training(&tasks).unwrap();
    assert_eq!(steps, u64::MAX);
    let tasks = hear(&mut state, exported(77, 0));
    assert!(
        matches!(&tasks[..], [Task::Keep { number: 77, words, .. }] if words.contains("step 0 of 400")),
        "{tasks:?}"
    );
    (state, id)
}

#[test]
fn everything_else_goes_before_training() {
    let (mut state, id) = under_way();
    assert_eq!(hear(&mut state, trained(id, 5, false)), []);
    // An attack interrupts it; once that is over it goes on.
    let tasks = visitor(&mut state, Intent::Again);
    assert!(matches!(&tasks[..], [Task::Schedule(_)]));
    state.apply(Input::Due);
    assert_eq!(hear(&mut state, trained(id, 6, true)), [], "the attack first");
    let attack = state.attack.id;
    let tasks = hear(&mut state, attacked(attack, false, result([0.9, 0.05, 0.05], false)));
    let (next, _) = training(&tasks).unwrap();
    assert!(next > attack);
    // What interrupts for a moment only, such as a file, lets it go on at once.
    let tasks = hear(&mut state, trained(next, 7, true));
    let (next, _) = training(&tasks).unwrap();
    let run = state.training.run.as_ref().unwrap();
    assert_eq!((run.step, run.records.len(), run.points.len()), (7, 3, 3));
    assert_eq!(run.seconds_left(), Some(393.0 * 64.0 / 128.0));
    // What comes of an earlier command says nothing.
    hear(&mut state, trained(id, 400, true));
    assert_eq!(state.training.run.as_ref().unwrap().step, 7);
    // In the end a last look, even if it was interrupted.
    let over =
        Event::Trained { id: next, step: 400, records: Vec::new(), look: None, speed: 0.0, memory: 0, over: true };
    let (next, _) = training(&hear(&mut state, over)).unwrap();
    // And a last copy.
    let tasks = hear(&mut state, trained(next, 400, true));
    assert_eq!(tasks, [Task::Send(Command::Export { number: 77, purpose: Purpose::Keep })]);
    assert_eq!(state.training.run.as_ref().unwrap().phase, Phase::Over);
    assert_eq!(wish(&mut state, Wish::Go), []);
}

/// A copy is kept now and then, but not while something else is computed: that would end it.
#[test]
fn a_copy_ends_nothing_else() {
    let (mut state, id) = under_way();
    hear(&mut state, trained(id, 5, false));
    assert!(matches!(&wish(&mut state, Wish::Keep)[..], [Task::Send(Command::Export { .. })]));
    visitor(&mut state, Intent::Many(50));
    assert_eq!(wish(&mut state, Wish::Keep), []);
    let (mut state, id) = under_way();
    hear(&mut state, trained(id, 5, false));
    visitor(&mut state, Intent::Again);
    state.apply(Input::Due);
    assert_eq!(wish(&mut state, Wish::Keep), []);
}

/// The copy of a run that never moved takes no place among those that are kept.
#[test]
fn a_run_that_never_moved_is_forgotten() {
    let (mut state, _) = under_way();
    assert!(wish(&mut state, Wish::End).contains(&Task::Forget(77)));
    let (mut state, id) = under_way();
    hear(&mut state, trained(id, 5, false));
    assert!(!wish(&mut state, Wish::End).contains(&Task::Forget(77)));
    assert_eq!(state.training.past.len(), 1);
}

/// A worker that starts anew is told of the pictures that were labelled; and not given again what it died of.
#[test]
fn labels_outlive_a_worker_and_a_deadly_set_does_not() {
    let mut state = idle();
    let label = Task::Send(Command::Label { class: "teapot".into(), pixels: vec![9; 3072] });
    assert_eq!(wish(&mut state, Wish::Label("teapot".into())), std::slice::from_ref(&label));
    assert_eq!(wish(&mut state, Wish::Data(4)), [Task::LoadData(4)]);
    crash(&mut state, Kind::Cpu);
    assert!(state.notices.iter().any(|n| n.text.contains("too many for this device's memory")), "{:?}", state.notices);
    let tasks = hear(&mut state, opened());
    assert!(tasks.contains(&label) && !tasks.contains(&Task::LoadData(4)), "{tasks:?}");
    wish(&mut state, Wish::Unlabel);
    crash(&mut state, Kind::Cpu);
    assert!(!hear(&mut state, opened()).contains(&label));
}

#[test]
fn pause_go_on_and_single_steps() {
    let (mut state, id) = under_way();
    assert_eq!(wish(&mut state, Wish::Pause), [Task::Send(Command::Stop)]);
    assert_eq!(hear(&mut state, trained(id, 3, true)), []);
    let (id, steps) = training(&wish(&mut state, Wish::Step)).unwrap();
    assert_eq!(steps, 1);
    assert_eq!(hear(&mut state, trained(id, 4, true)), []);
    assert_eq!(state.training.run.as_ref().unwrap().phase, Phase::Paused);
    // An attack does not wake it.
    visitor(&mut state, Intent::Again);
    state.apply(Input::Due);
    let attack = state.attack.id;
    let tasks = hear(&mut state, attacked(attack, false, result([0.9, 0.05, 0.05], false)));
    assert_eq!(training(&tasks), None);
    assert!(training(&wish(&mut state, Wish::Go)).is_some());
}

#[test]
fn a_setting_changes_the_run_if_it_may() {
    let (mut state, _) = under_way();
    let tasks = wish(&mut state, Wish::Set("rate", "0.05".into()));
    assert_eq!(tasks, [Task::Send(Command::Tune { settings: vec![("rate".into(), "0.05".into())] })]);
    assert_eq!(wish(&mut state, Wish::Set("batch", "32".into())), [], "of the next run");
    assert_eq!(state.link.train.batch, 32);
    assert_eq!(wish(&mut state, Wish::Set("batch", "x".into())), []);
    assert_eq!(state.notices.len(), 2);
    // It is part of the address, and read from there.
    assert!(state.hash().contains("&train.batch=32&train.rate=0.05"), "{}", state.hash());
    assert_eq!(State::new(&state.hash()).0.link.train, state.link.train);
}

/// A worker that dies takes nothing with it but the steps since the last copy.
#[test]
fn a_crash_costs_the_steps_since_the_copy() {
    let (mut state, id) = under_way();
    hear(&mut state, trained(id, 20, false));
    assert_eq!(wish(&mut state, Wish::Keep), [Task::Send(Command::Export { number: 77, purpose: Purpose::Keep })]);
    hear(&mut state, exported(77, 20));
    assert_eq!(wish(&mut state, Wish::Keep), [], "there is nothing new");
    hear(&mut state, trained(id, 25, false));
    for (batch, restart) in [(0, 1), (32, 2)] {
        assert_eq!(crash(&mut state, Kind::Cpu), [Task::End, Task::Start(Kind::Cpu)]);
        let tasks = state.apply(Input::Worker(Kind::Cpu, opened()));
        assert!(tasks.contains(&Task::TakeUp(77, batch)), "{restart}: {tasks:?}");
        assert_eq!(training(&tasks), None, "not before it is there");
        let tasks = hear(&mut state, prepared(20));
        assert!(training(&tasks).is_some(), "{tasks:?}");
        let run = state.training.run.as_ref().unwrap();
        assert_eq!((run.step, run.phase, run.records.len()), (20, Phase::Going, 1));
    }
    let texts: Vec<_> = state.notices.iter().map(|n| n.text.as_str()).collect();
    assert!(texts.iter().any(|t| t.contains("from the copy kept at step 20, 5 steps back")), "{texts:?}");
}

#[test]
fn an_earlier_run_is_taken_up_or_deleted() {
    let mut state = idle();
    let earlier = [7, 8].map(|number| Earlier { number, words: "otjr".into() }).to_vec();
    state.apply(Input::Earlier(earlier, vec![("set.zip".into(), 0)]));
    assert_eq!(wish(&mut state, Wish::Forget(8)), [Task::Forget(8)]);
    assert_eq!(wish(&mut state, Wish::TakeUp(7)), [Task::TakeUp(7, 0)]);
    let tasks = hear(&mut state, prepared(120));
    assert_eq!(training(&tasks), None, "it waits for a word");
    let run = state.training.run.as_ref().unwrap();
    assert_eq!((run.number, run.step, run.phase), (7, 120, Phase::Paused));
    assert!(state.training.earlier.is_empty());
    // One that is refused leaves what there is.
    wish(&mut state, Wish::Resume(3, 9));
    let refused = Event::Refused { subject: Subject::Training, text: "no run".into() };
    hear(&mut state, refused);
    assert_eq!(state.training.run.as_ref().unwrap().number, 7);
    assert!(!state.training.coming());
    assert_eq!(wish(&mut state, Wish::ForgetData("set.zip".into())), [Task::ForgetData("set.zip".into())]);
    assert!(state.training.earlier_data.is_empty());
}

#[test]
fn data_is_brought_again_to_a_new_worker() {
    let (mut state, _) = under_way();
    assert_eq!(wish(&mut state, Wish::Data(2)), [Task::LoadData(2)]);
    let brought = Some(("c.tar.gz".into(), "cifar10".into(), [50_000, 10_000]));
    let data = DataInfo { brought, classes: vec!["cat".into()], own: Vec::new() };
    hear(&mut state, Event::Data { data });
    assert_eq!(state.link.train.get("dataset").unwrap(), "cifar10");
    assert_eq!((state.link.train.limit, state.link.train.augment), (0, true));
    crash(&mut state, Kind::Cpu);
    let tasks = state.apply(Input::Worker(Kind::Cpu, opened()));
    let at = |task: &Task| tasks.iter().position(|t| t == task);
    assert!(at(&Task::LoadData(2)).unwrap() < at(&Task::TakeUp(77, 0)).unwrap(), "{tasks:?}");
    wish(&mut state, Wish::Set("dataset", "synthetic".into()));
    assert_eq!((state.link.train.limit, state.link.train.augment), (3200, false));
    // A set that cannot be read is given up.
    hear(&mut state, Event::Refused { subject: Subject::Data, text: "broken".into() });
    assert_eq!(state.link.train.get("dataset").unwrap(), "synthetic");
}

/// Runs side by side, judged one after another by the same attack.
#[test]
fn runs_are_judged_alike() {
    let (mut state, id) = under_way();
    hear(&mut state, trained(id, 400, true));
    hear(&mut state, exported(77, 400));
    wish(&mut state, Wish::Begin(90));
    let tasks = hear(&mut state, prepared(0));
    let (id, _) = training(&tasks).unwrap();
    hear(&mut state, exported(90, 0));
    hear(&mut state, trained(id, 9, false));
    assert_eq!(state.training.runs().map(|run| run.number).collect::<Vec<_>>(), [77, 90]);

    assert_eq!(wish(&mut state, Wish::Judge(200)), [Task::LoadRun(77)]);
    hear(&mut state, trained(id, 10, true));
    let judge = |state: &mut State, robust: usize| {
        let tasks = hear(state, model_at(Slot::Run));
        let [Task::Send(Command::Evaluate { id, slot: Slot::Run, pictures: 200, .. })] = &tasks[..] else {
            panic!("{tasks:?}")
        };
        let accuracy = Accuracy { pictures: 200, clean: 180, robust };
        let report = Report { accuracy, records: Vec::new(), flags: Vec::new(), part: 1.0 };
        hear(state, Event::Evaluated { id: *id, report, over: true, stopped: false })
    };
    // The run under way is judged as it is now.
    let tasks = judge(&mut state, 120);
    assert_eq!(tasks, [Task::Send(Command::Export { number: 90, purpose: Purpose::Keep })]);
    let tasks = hear(&mut state, exported(90, 10));
    assert!(tasks.contains(&Task::LoadRun(90)), "{tasks:?}");
    let tasks = judge(&mut state, 60);
    assert!(training(&tasks).is_some(), "and then goes on");
    let judged = |run: &otjr::app::training::Run| run.judged.as_ref().map(|(a, r)| (a.clone(), r.accuracy.robust));
    let all: Vec<_> = state.training.runs().map(judged).collect();
    assert_eq!(all, [Some(("pgd linf 8/255".into(), 120)), Some(("pgd linf 8/255".into(), 60))]);
}

#[test]
fn a_phone_begins_with_less() {
    let (mut state, _) = State::new("");
    assert_eq!(state.apply(Input::Weak), []);
    assert_eq!(state.link.train, TrainConfig::small());
    let (mut asked, _) = State::new("#train.epochs=3");
    asked.apply(Input::Weak);
    assert_eq!((asked.link.train.epochs, asked.link.train.batch), (3, 64));
}
