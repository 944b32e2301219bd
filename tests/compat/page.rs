//! Runs that the page stored in the browser: `run-N.txt` (what it is, for people), `run-N.safetensors` (the checkpoint) and
//! `run-N.history` (its course, in postcard).

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    fs,
    path::Path,
    rc::Rc,
};

use otjr::{
    app::{
        domain::{
            action::{Msg, TrainingAction, UserAction},
            backend::BackendKind,
            effect::{Effect, RunCopy},
            saved_run::SavedRun,
            source::Source,
        },
        state::{
            State,
            run::{AccuracyPoint, EvaluationResult, Run},
        },
    },
    checkpoint::Checkpoint,
    platform::DeviceChoice,
    protocol::{Command, Event, decode},
    session::Session,
    train::{Record, Trainer, config_of, own_of},
};
use serde_json::{Value, json};

use super::{assert_near, json, read};

/// The number of the stored run. Runs are numbered by the time at which they begin.
const NUMBER: u64 = 1_700_000_000_000;
/// The number of a run with another objective, of which only the history is stored here.
const OTHER: u64 = 1_700_000_000_001;
/// Steps of the run before it was stored, and of the whole run.
const STORED: u64 = 3;
const STEPS: u64 = 8;

/// A stored run: what it is, its history, its checkpoint.
struct Stored {
    words: String,
    history: Vec<u8>,
    checkpoint: Vec<u8>,
}

impl Stored {
    fn read() -> Self {
        let file = |ending: &str| read(&format!("page/run-{NUMBER}.{ending}"));
        let words = String::from_utf8(file("txt")).expect("it is text");
        Self { words, history: file("history"), checkpoint: file("safetensors") }
    }
}

/// The page and its worker without a browser: does what the state decides.
struct Page {
    state: State,
    session: Session,
    /// What the worker has sent.
    events: Rc<RefCell<Vec<Event>>>,
    /// What the browser's storage contains, by number.
    storage: BTreeMap<u64, Stored>,
    /// How many steps training may still do.
    steps: u64,
}

impl Page {
    /// A page that has done its first attack; nothing is trained.
    fn open(hash: &str) -> Self {
        let (state, effects) = State::new(hash);
        let events = Rc::new(RefCell::new(Vec::new()));
        let sink = events.clone();
        let session = Session::new(DeviceChoice::Cpu, move |event| sink.borrow_mut().push(event));
        let mut page = Self { state, session, events, storage: BTreeMap::new(), steps: 0 };
        page.run_effects(effects);
        page
    }

    fn apply(&mut self, msg: Msg) {
        let effects = self.state.apply(msg);
        self.run_effects(effects);
    }

    fn train(&mut self, action: TrainingAction) {
        self.apply(Msg::User(UserAction::Train(action)));
    }

    fn run(&self) -> &Run {
        self.state.training.run.as_ref().expect("there is a run")
    }

    fn run_effects(&mut self, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let command = match effect {
                Effect::StartWorker(BackendKind::Cpu) => Command::OpenDevice,
                Effect::Send(Command::Train { id, steps }) => {
                    let steps = steps.min(self.steps);
                    self.steps -= steps;
                    if steps == 0 {
                        continue;
                    }
                    Command::Train { id, steps }
                }
                Effect::Send(command) => command,
                Effect::LoadModel(Source::Builtin(model)) => {
                    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/models").join(model.file());
                    let bytes = fs::read(path).expect("it is part of the repository");
                    Command::LoadModel { slot: model.slot, name: model.file(), bytes }
                }
                Effect::SaveRun(RunCopy { number, description, history, bytes }) => {
                    self.storage.insert(number, Stored { words: description, history, checkpoint: bytes });
                    continue;
                }
                Effect::SaveHistory(number, history) => {
                    self.storage.get_mut(&number).expect("the run is stored").history = history;
                    continue;
                }
                Effect::LoadRunModel(number) => Command::LoadModel {
                    slot: otjr::protocol::Slot::Run,
                    name: "the run".into(),
                    bytes: self.storage[&number].checkpoint.clone(),
                },
                Effect::ResumeSavedRun(number, batch) => {
                    let Stored { history, checkpoint, .. } = &self.storage[&number];
                    let (history, bytes) = (history.clone(), checkpoint.clone());
                    effects.extend(self.state.apply(Msg::HistoryLoaded(number, history)));
                    Command::ResumeRun { name: "the copy".into(), bytes, batch }
                }
                Effect::StartAttackTimer(_) => {
                    effects.extend(self.state.apply(Msg::AttackTimerFired));
                    continue;
                }
                Effect::ActivateWorker => continue,
                effect => panic!("the test does not expect {effect:?}"),
            };
            self.session.current_job.set(command.job_id().unwrap_or_default());
            pollster::block_on(self.session.handle(command));
            for event in self.events.take() {
                effects.extend(self.state.apply(Msg::Worker(BackendKind::Cpu, event)));
            }
        }
    }
}

/// The loss of each step.
fn losses(run: &Run) -> Vec<f32> {
    run.records.iter().map(|record| record.loss).collect()
}

/// Numbers of a JSON array; JSON may lose the last bit of a double.
fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().expect("an array").iter().map(|v| v.as_f64().expect("a number") as f32).collect()
}

type History = (Vec<Record>, Vec<AccuracyPoint>, EvaluationResult);

/// Every value of a history as JSON, without the names of fields: those may change, their order may not.
fn described((records, points, judged): &History) -> String {
    let records: Vec<_> =
        records.iter().map(|r| json!([r.step, r.epoch, r.rate, r.loss, r.ce, r.distance, r.jacobian])).collect();
    let points: Vec<_> = points.iter().map(|p| json!([p.step, p.clean, p.robust])).collect();
    let judged = judged.as_ref().map(|(attack, report)| {
        let attacks = report
            .records
            .iter()
            .map(|r| json!([r.name, r.before, r.after, r.seconds, r.queries, r.zero_gradients, r.skipped]));
        let accuracy = report.accuracy;
        let accuracy = [accuracy.images, accuracy.clean, accuracy.robust];
        json!([attack, accuracy, attacks.collect::<Vec<_>>(), report.flags, report.part])
    });
    format!("{:#}\n", json!([records, points, judged]))
}

#[test]
fn a_stored_history_is_read() {
    for number in [NUMBER, OTHER] {
        let history: History = decode(&read(&format!("page/run-{number}.history"))).expect("it is a history");
        let recorded = read(&format!("page/run-{number}.history.json"));
        assert_eq!(described(&history), String::from_utf8_lossy(&recorded), "run {number}");
        assert_eq!(history.0.len() as u64, STORED);
        assert!(!history.1.is_empty());
    }
    let (records, _, judged): History = decode(&read(&format!("page/run-{NUMBER}.history"))).expect("it is a history");
    assert!(records.iter().all(|record| record.distance.is_none() && record.jacobian.is_some()));
    let (attack, report) = judged.expect("the run was evaluated");
    assert_eq!((attack.as_str(), report.accuracy.images, report.records.len()), ("pgd linf 8/255", 20, 1));
    let (records, _, judged): History = decode(&read(&format!("page/run-{OTHER}.history"))).expect("it is a history");
    assert!(records.iter().all(|record| record.distance.is_some() && record.jacobian.is_none()));
    assert!(judged.is_none());
}

/// The page offers the run, takes it up where it was, with its history and the user's images, and trains on to the end.
#[test]
fn a_stored_run_is_taken_up_and_trained_to_its_end() {
    let stored = Stored::read();
    assert_eq!(stored.words, format!("rand_jac on synthetic, resnet-18-w1, step {STORED} of {STEPS}"));
    let expected = json("page/expected.json");
    let mut page = Page::open("#view=none&steps=1");
    let earlier = SavedRun { number: NUMBER, description: stored.words.clone() };
    page.storage.insert(NUMBER, stored);
    page.apply(Msg::SavedItemsFound(vec![earlier], Vec::new()));
    page.train(TrainingAction::ResumeSaved(NUMBER));

    let run = page.run();
    assert_eq!((run.number, run.step, run.info.steps), (NUMBER, STORED, STEPS));
    assert_eq!((run.info.classes.len(), run.info.classes[10].as_str()), (11, "teapot"));
    assert_eq!((run.info.images, run.info.batch), (64 + 6 + 1, 16), "the image of a new class is repeated");
    assert_eq!((run.config.rate, run.config.objective.to_string().as_str()), (0.05, "rand_jac"));
    assert_eq!(losses(run), numbers(&expected["losses"])[..STORED as usize]);
    assert_eq!(run.evaluation.as_ref().map(|(_, report)| report.accuracy.images), Some(20));
    assert_eq!(page.state.training.data.labeled, [("teapot".to_owned(), 1), ("disc".to_owned(), 1)].to_vec());

    page.steps = u64::MAX;
    page.train(TrainingAction::Resume);
    let run = page.run();
    assert_eq!((run.step, run.records.len() as u64), (STEPS, STEPS));
    for (step, (&found, recorded)) in losses(run).iter().zip(numbers(&expected["losses"])).enumerate() {
        assert_near(found.into(), recorded.into(), 1e-3, &format!("the loss of step {}", step + 1));
    }
    let last = run.points.last().expect("the last look");
    assert_eq!(last.step, STEPS);
    let checkpoint =
        Checkpoint::from_bytes(&page.storage[&NUMBER].checkpoint).expect("a checkpoint is stored at the end");
    assert_near(sum(&checkpoint), expected["sum"].as_f64().expect("a number"), 1e-3, "the sum of the weights' sizes");
}

/// The sum of the absolute values of all weights.
fn sum(checkpoint: &Checkpoint) -> f64 {
    checkpoint.model_arrays().values().flat_map(|array| &array.values).map(|v| f64::from(v.abs())).sum()
}

/// The checkpoint that the page stored is one for the native code, too.
#[test]
fn a_stored_checkpoint_is_read() {
    let checkpoint = Checkpoint::from_bytes(&Stored::read().checkpoint).expect("it is a checkpoint");
    let expected = json("page/expected.json");
    assert_near(
        sum(&checkpoint),
        expected["stored sum"].as_f64().expect("a number"),
        1e-12,
        "the sum of the weights' sizes",
    );
    let config = config_of(&checkpoint).expect("it has settings");
    assert_eq!((config.batch, config.limit, config.epochs, config.rate), (16, 64, 2, 0.05));
    let own = own_of(&checkpoint).expect("it has the user's images");
    assert_eq!((own.labels.as_slice(), own.pixels.len(), own.classes.len()), (&[0, 1][..], 2 * 3072, 2));
    let bytes = own.pixels.iter().map(|&value| u64::from(value)).sum::<u64>();
    assert_eq!(bytes, expected["own pixels"].as_u64().expect("a number"));
    let mut data = otjr::data::synthetic::default_splits([config.limit, config.limit_test]).train;
    data.extend_with(&own);
    let trainer = Trainer::resume(&checkpoint, &data, &burn::tensor::Device::flex()).expect("it is a run");
    assert_eq!((trainer.step, trainer.classes[10].as_str()), (STORED, "teapot"));
    let again = pollster::block_on(trainer.checkpoint()).expect("it can be read back");
    assert_eq!(again, checkpoint, "the same file is written again");
}

/// Writes the files in `page/`, of this build, into cargo's directory for the files of tests.
#[test]
#[ignore = "writes files: see tests/fixtures/compat/README.md"]
fn write_page() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compat/page");
    fs::create_dir_all(&folder).expect("cargo's directory can be written");
    let write = |name: String, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("it can be written");
    let settings =
        "train.model=resnet-18-w1&train.limit=64&train.limit-test=20&train.batch=16&train.epochs=2&train.rate=0.05";
    let train = |page: &mut Page, number: u64| {
        page.steps = STORED;
        page.train(TrainingAction::Start(number));
        page.train(TrainingAction::SaveCopy);
        assert_eq!((page.run().step, page.run().records.len() as u64), (STORED, STORED));
    };

    let mut page = Page::open(&format!("#view=none&steps=1&train.objective=rand_jac&{settings}"));
    page.train(TrainingAction::LabelImage("teapot".into()));
    page.apply(Msg::User(UserAction::SelectSample(5)));
    page.train(TrainingAction::LabelImage("disc".into()));
    train(&mut page, NUMBER);
    page.train(TrainingAction::EvaluateAll(20));
    let Stored { words, history, checkpoint } = page.storage.remove(&NUMBER).expect("it is stored");
    write(format!("run-{NUMBER}.txt"), words.as_bytes());
    write(format!("run-{NUMBER}.history"), &history);
    write(format!("run-{NUMBER}.safetensors"), &checkpoint);
    let read: History = decode(&history).expect("it is a history");
    write(format!("run-{NUMBER}.history.json"), described(&read).as_bytes());

    let mut other = Page::open(&format!("#view=none&steps=1&train.objective=sw&train.train-steps=1&{settings}"));
    train(&mut other, OTHER);
    let unevaluated = &other.storage[&OTHER].history;
    write(format!("run-{OTHER}.history"), unevaluated);
    let read: History = decode(unevaluated).expect("it is a history");
    write(format!("run-{OTHER}.history.json"), described(&read).as_bytes());

    let mut later = Page::open("#view=none&steps=1");
    let stored = Checkpoint::from_bytes(&checkpoint).expect("it is a checkpoint");
    later.storage.insert(NUMBER, Stored { words: words.clone(), history, checkpoint });
    later.apply(Msg::SavedItemsFound(vec![SavedRun { number: NUMBER, description: words }], Vec::new()));
    later.train(TrainingAction::ResumeSaved(NUMBER));
    later.steps = u64::MAX;
    later.train(TrainingAction::Resume);
    let end = Checkpoint::from_bytes(&later.storage[&NUMBER].checkpoint).expect("it is a checkpoint");
    let own = own_of(&stored).expect("it has the user's images");
    let expected = json!({
        "losses": losses(later.run()),
        "sum": sum(&end),
        "stored sum": sum(&stored),
        "own pixels": own.pixels.iter().map(|&value| u64::from(value)).sum::<u64>(),
    });
    write("expected.json".into(), format!("{expected:#}\n").as_bytes());
}
