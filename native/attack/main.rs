//! Attacks models and counts what they withstand: AutoAttack by default, with its warnings.

mod plan;
mod plot;
mod report;
#[path = "../shell/mod.rs"]
mod shell;

use std::{
    fs,
    io::ErrorKind,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use otjr::{
    attack::{autoattack::left_out, method::stages},
    checkpoint::Checkpoint,
    config::{AttackConfig, AttackKind, Pixels, Settings},
    data::Pictures,
    evaluate::{Evaluation, Now, State, Watch, check},
    model::Model,
    platform::{self, Opened},
};
use plan::Plan;
use report::{Outcome, Report};
use shell::{
    console::Console,
    dataset::{self, Fetching},
    files,
    interrupt::Interrupt,
};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let (plan, out) = plan::read(&plan::command().get_matches())?;
    if let Some(threads) = plan.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let interrupt = Interrupt::listen()?;
    let fetching = Fetching { url: plan.data_url.as_deref(), console: Console::default(), interrupt: &interrupt };
    let Some(data) = dataset::load(plan.dataset()?, &plan.data_dir, [1, plan.limit], &fetching)? else {
        println!("Stopped. To go on, give the same command.");
        return Ok(interrupt.exit_code());
    };
    let pictures = data.test;
    let opened = pollster::block_on(platform::open(plan.device()?))?;
    println!(
        "{} under {} ({}), {} pictures of {}, {}",
        count(plan.models.len(), "model"),
        plan.attacks.join(", "),
        plan.norm,
        pictures.len(),
        plan.dataset,
        opened.name
    );
    // All is loaded and looked at before anything is written or attacked.
    let judge = plan.judge.as_deref().map(|path| load(path, &pictures, &opened)).transpose()?;
    let models = plan.models.iter().map(|path| load(path, &pictures, &opened)).collect::<anyhow::Result<Vec<_>>>()?;
    for (path, (model, _)) in plan.models.iter().zip(&models) {
        for config in plan.config(Pixels(0.0))? {
            check(&stages(&config, model.classes)?, plan.target()?, model.classes).with_context(|| path.clone())?;
        }
    }
    plan.keep(&out, models.iter().chain(&judge).map(|(_, checksum)| *checksum).collect())?;
    let mut report = Report::new(&plan, &pictures, &opened);
    for (number, (model, _)) in models.iter().enumerate() {
        for (radius, epsilon) in plan.epsilons()?.into_iter().enumerate() {
            let job = Job {
                plan: &plan,
                configs: plan.config(epsilon)?,
                pictures: &pictures,
                opened: &opened,
                file: out.join(format!("adversarial-{}-{}.safetensors", number + 1, radius + 1)),
                interrupt: &interrupt,
            };
            let judge = judge.as_ref().map_or(model, |(judge, _)| judge);
            let state = job.run(model, judge).with_context(|| resume(&out))?;
            if !state.finished {
                println!("Stopped. {}", resume(&out));
                return Ok(interrupt.exit_code());
            }
            report.add(number, model, Outcome { epsilon: epsilon.0, state: &state });
        }
    }
    report.write(&out)?;
    Ok(ExitCode::SUCCESS)
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn resume(out: &Path) -> String {
    format!("To go on: attack --resume {}", out.display())
}

/// The model in a file, if it tells as many classes apart as the pictures have, and the file's checksum.
fn load(path: &str, pictures: &Pictures, opened: &Opened) -> anyhow::Result<(Model, u32)> {
    let bytes = fs::read(path).with_context(|| format!("could not read {path}"))?;
    let checkpoint = Checkpoint::from_bytes(&bytes).with_context(|| path.to_owned())?;
    let model = Model::from_arrays(&checkpoint.model(), &opened.device).with_context(|| path.to_owned())?;
    if model.classes != pictures.classes.len() {
        bail!("{path} tells {} classes apart, the pictures have {}", model.classes, pictures.classes.len());
    }
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes);
    Ok((model, checksum.sum()))
}

/// One model against one radius.
struct Job<'a> {
    plan: &'a Plan,
    configs: Vec<AttackConfig>,
    pictures: &'a Pictures,
    opened: &'a Opened,
    /// Where its state is kept.
    file: PathBuf,
    interrupt: &'a Interrupt,
}

impl Job<'_> {
    /// Goes on from the file, if there is one.
    fn run(&self, model: &Model, judge: &Model) -> anyhow::Result<State> {
        let mut attacks = Vec::new();
        let mut flags = Vec::new();
        for config in &self.configs {
            attacks.extend(stages(config, model.classes)?);
            flags.extend(left_out(config.attack, model.classes));
        }
        let evaluation = Evaluation {
            pictures: self.pictures,
            stages: &attacks,
            target: self.plan.target()?,
            seed: self.configs[0].seed,
            batch: self.plan.batch.min(self.pictures.len()),
            flags,
            may_be_random: self.configs.iter().any(|c| c.attack == AttackKind::AutoattackRand),
        };
        let device = &self.opened.device;
        let mut state = match fs::read(&self.file) {
            Ok(bytes) => Checkpoint::from_bytes(&bytes)
                .and_then(|file| State::from_checkpoint(&file, self.pictures))
                .with_context(|| self.file.display().to_string())?,
            Err(error) if error.kind() == ErrorKind::NotFound => pollster::block_on(evaluation.begin(judge, device))?,
            Err(error) => return Err(error).with_context(|| format!("could not read {}", self.file.display())),
        };
        let mut watch = Terminal::new(self)?;
        pollster::block_on(evaluation.run(model, judge, device, &mut state, &mut watch))?;
        watch.bar.finish_and_clear();
        watch.problem?;
        self.save(&state)?;
        Ok(state)
    }

    fn save(&self, state: &State) -> anyhow::Result<()> {
        files::write(&self.file, &state.to_checkpoint(self.pictures).to_bytes())
    }
}

/// Steps of the bar for each picture.
const FINE: f64 = 100.0;

/// Shows an evaluation in the terminal, and saves it now and then.
struct Terminal<'a> {
    job: &'a Job<'a>,
    bar: ProgressBar,
    saved: Instant,
    /// The attacks that have begun.
    begun: usize,
    problem: anyhow::Result<()>,
}

impl<'a> Terminal<'a> {
    fn new(job: &'a Job<'a>) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(1)
            .with_style(ProgressStyle::with_template("{prefix:>9} {bar:24} {percent:>3} %, {eta} left  {msg}")?);
        Ok(Self { job, bar, saved: Instant::now(), begun: 0, problem: Ok(()) })
    }
}

impl Watch for Terminal<'_> {
    async fn look(&mut self, now: Now<'_>) -> ControlFlow<()> {
        let records = &now.state.records;
        let running = records.last().expect("an attack runs");
        if self.begun != records.len() {
            self.begun = records.len();
            self.bar.set_prefix(running.name.clone());
            self.bar.set_length((now.of as f64 * FINE) as u64);
            self.bar.set_position((now.done * FINE) as u64);
            self.bar.reset_eta();
        }
        self.bar.set_position((now.done * FINE) as u64);
        self.bar.set_message(format!("{} of {} stand", running.after, now.state.fates.len()));
        let due = now.settled && self.saved.elapsed() >= Duration::from_secs(self.job.plan.save_every);
        if due {
            if self.bar.is_hidden() {
                // No terminal: a line now and then for whoever reads the log.
                println!("{}: {:.0} of {} pictures, {} stand", running.name, now.done, now.of, running.after);
            }
            self.problem = self.job.save(now.state);
            self.saved = Instant::now();
        }
        if self.problem.is_err() { ControlFlow::Break(()) } else { self.job.interrupt.flow() }
    }
}

/// The value of a setting as text.
fn shown(epsilon: f32) -> String {
    AttackConfig { epsilon: Pixels(epsilon), ..AttackConfig::default() }.get("epsilon").unwrap_or_default()
}
