//! What the numbers say, in words: the sentence above the images, who computes and why, which classes to list. Pure.

use super::{
    link::{BackendPreference, BuiltinModel, ImageDomain},
    message::{BackendKind, Source},
    state::{BatchAttack, State},
};
pub use crate::prediction::top;
use crate::{
    attack::Norm,
    data::synthetic,
    evaluate::wilson,
    protocol::{QueryCounts, Slot, Trace},
    settings::Settings,
};

/// What GPU the browser offers.
#[derive(Clone, Debug, PartialEq)]
pub enum GpuAdapter {
    /// A real one, by name.
    Real(String),
    /// A GPU only in name, by name.
    Emulated(String),
    /// None; why.
    None(&'static str),
}

impl GpuAdapter {
    /// Judges what WebGPU says of its adapter.
    pub fn judge(vendor: &str, architecture: &str, description: &str, fallback: bool) -> Self {
        let name =
            [vendor, architecture, description].iter().filter(|s| !s.is_empty()).copied().collect::<Vec<_>>().join(" ");
        let lower = name.to_lowercase();
        let emulators = ["swiftshader", "llvmpipe", "lavapipe", "softpipe", "basic render"];
        if fallback || emulators.iter().any(|e| lower.contains(e)) { Self::Emulated(name) } else { Self::Real(name) }
    }

    pub fn is_real(&self) -> bool {
        matches!(self, Self::Real(_))
    }
}

/// How the attack went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Waiting,
    Withstands,
    Fooled,
    /// The model was wrong before any attack.
    Mistaken,
}

/// The sentence above the images, and what it amounts to.
pub fn reading(state: &State) -> (Verdict, String) {
    let (Some(model), Some(image)) = (&state.model, &state.image) else {
        return (Verdict::Waiting, "An image, a classifier, and how little it takes to fool it.".into());
    };
    if state.clean.is_empty() || state.clean.len() != model.classes.len() {
        return (Verdict::Waiting, "The model looks at the image.".into());
    }
    let (who, class) = (subject(state), |c: usize| model.classes[c].as_str());
    let seen = top(&state.clean);
    // Of a class that the model does not know nothing can be said.
    let truth = image.label.as_ref().filter(|&label| label != class(seen) && model.classes.contains(label));
    let though = truth.map(|truth| format!(", though it is {truth}")).unwrap_or_default();
    let before = format!("{} ({}{though})", class(seen), percent(state.clean[seen]));
    let Some(result) = state.attack.result.as_ref().filter(|r| r.probabilities.len() == model.classes.len()) else {
        return (Verdict::Waiting, format!("{who} sees {before}."));
    };
    let got = top(&result.probabilities);
    let after = format!("{} ({})", class(got), percent(result.probabilities[got]));
    let change = change(state);
    match (result.succeeded, state.attack.target) {
        // Then an attack that fails proves nothing, and one that succeeds little.
        (reached, None) if truth.is_some() => {
            let then = if reached { format!("{change} makes it") } else { format!("under {change} it stays") };
            (Verdict::Mistaken, format!("{who} is wrong without any attack: it sees {before}; {then} {after}."))
        }
        (true, _) if got != seen => {
            (Verdict::Fooled, format!("{who} is fooled: {before} becomes {after} by {change}."))
        }
        (true, _) => (Verdict::Fooled, format!("{who} already sees {before}, the class to reach.")),
        (false, Some(target)) if target < model.classes.len() && got != seen => (
            Verdict::Withstands,
            format!("{who} is not made to see {}: {before} becomes {after} by {change}.", class(target)),
        ),
        (false, Some(target)) if target < model.classes.len() => (
            Verdict::Withstands,
            format!("{who} is not made to see {}: {before} stays {after} under {change}.", class(target)),
        ),
        _ => (Verdict::Withstands, format!("{who} holds: {before} stays {after} under {change}.")),
    }
}

/// Whose prediction it is.
fn subject(state: &State) -> String {
    match state.model_in_use {
        Some(Source::Builtin(model)) => format!("The {} model", model.title().to_lowercase()),
        Some(Source::Uploaded(_)) => "Your model".into(),
        None => "The model".into(),
    }
}

fn change(state: &State) -> String {
    let config = &state.attack.config;
    let epsilon = config.get("epsilon").unwrap_or_default();
    match config.norm {
        Norm::Linf => format!("a change of at most {epsilon} a pixel"),
        Norm::L2 => format!("a change of length {epsilon} at most"),
        Norm::L1 => format!("changes that sum to {epsilon} at most"),
    }
}

/// What the attacks did, one after the other.
pub fn path(state: &State) -> String {
    let one = |t: &Trace| {
        let end = if t.succeeded { "succeeds" } else { "fails" };
        let QueryCounts { forward: outputs, backward: gradients } = t.queries;
        let asked = match gradients {
            0 => format!("{outputs} looks"),
            1 => format!("{outputs} looks and 1 gradient"),
            _ => format!("{outputs} looks and {gradients} gradients"),
        };
        let unit = if t.steps == 1 { "step" } else { "steps" };
        format!("{} {end} in {} {unit}, {asked}", t.attack, t.steps)
    };
    let mut text = state.attack.traces.iter().map(one).collect::<Vec<_>>().join("; ");
    if text.is_empty() {
        return text;
    }
    let config = &state.attack.config;
    if let Some(distance) = state.attack.result.as_ref().and_then(|r| r.distance).filter(|d| *d > 0.0) {
        let size = if config.norm == Norm::Linf { in_255ths(distance) } else { format!("{distance:.2}") };
        let beyond = if distance > config.epsilon.0 { ", beyond what is allowed" } else { "" };
        text += &format!("; the smallest change found that does it has size {size}{beyond}");
    }
    text + "."
}

/// What is read aloud of an evaluation on many images: that it runs, and what came of it, but not each percent.
pub fn batch_announcement(run: &BatchAttack) -> String {
    if run.running { "The images are attacked.".into() } else { many(run) }
}

/// How an evaluation on many images stands.
pub fn many(many: &BatchAttack) -> String {
    let config = &many.config;
    let attack = format!("{} within {} in {}", config.attack, config.get("epsilon").unwrap_or_default(), config.norm);
    match &many.report {
        None if many.stopped => format!("{attack}: stopped before anything was known."),
        None => format!("{attack}: the model looks at the images."),
        Some(report) => {
            let [clean, robust] = report.accuracy.shares().map(|share| 100.0 * share);
            let n = report.accuracy.images;
            let now = report.records.last().map(|r| r.name.as_str()).unwrap_or_default();
            match (many.running, many.stopped) {
                (true, _) => format!("{attack}: {now}, {:.0} % done; {robust:.0} % still stand.", 100.0 * report.part),
                (_, true) => {
                    format!("{attack}, stopped early: the model holds on at most {robust:.1} % of {n} images.")
                }
                _ => format!(
                    "{attack}: the model holds on {robust:.1} % (95 % interval: {}) of {n} images of {}; without attack it \
                     is right on {clean:.1} %.",
                    interval(robust / 100.0, n),
                    many.set
                ),
            }
        }
    }
}

/// What many images are taken from, as the worker chooses it: a set that was brought, or else the embedded one, if the
/// model knows its classes.
pub fn set(state: &State) -> Option<String> {
    let embedded = || "the embedded set".to_owned();
    let Some(model) = &state.model else {
        return (state.link.model.world == ImageDomain::Shapes).then(embedded);
    };
    let data = &state.training.data;
    let alike = model.classes.iter().zip(&data.classes).all(|(a, b)| a == b);
    let mut classes = model.classes.iter();
    match &data.uploaded {
        Some(dataset) if alike => Some(dataset.name.clone()),
        _ => synthetic::class_names().all(|class| classes.next().is_some_and(|own| own == class)).then(embedded),
    }
}

/// How far a share of so many images may be from that of all: `22 to 48 %`, in 95 of 100 cases.
pub fn interval(share: f64, images: usize) -> String {
    let [low, high] = wilson(share, images).map(|end| 100.0 * end);
    format!("{low:.0} to {high:.0} %")
}

/// Who computes, and why.
pub fn backend(state: &State) -> (String, String) {
    let b = &state.backend;
    let gpu = match &b.adapter {
        Some(GpuAdapter::Real(name) | GpuAdapter::Emulated(name)) if !name.is_empty() => format!("WebGPU on {name}"),
        _ => "WebGPU".into(),
    };
    let (name, why) = match (&b.current, b.coming) {
        (None, Some(BackendKind::Cpu)) => ("CPU".into(), "starting".into()),
        (None, Some(BackendKind::Gpu)) => ("WebGPU".into(), "starting; it is fetched first".into()),
        (None, None) => ("Stopped".into(), "reload the page".into()),
        (Some(_), Some(BackendKind::Gpu)) => ("CPU".into(), "while WebGPU starts".into()),
        (Some(_), Some(BackendKind::Cpu)) => ("WebGPU".into(), "while the CPU starts".into()),
        (Some((BackendKind::Gpu, _)), None) => match (&b.adapter, state.link.backend) {
            (Some(GpuAdapter::Emulated(_)), _) => {
                (gpu, "as chosen; the GPU is emulated in software, so it is slow".into())
            }
            (_, BackendPreference::Gpu) => (gpu, "as chosen".into()),
            _ => (gpu, "because this browser offers a GPU".into()),
        },
        (Some((BackendKind::Cpu, name)), None) => {
            let why = match (&b.given_up, &b.adapter, state.link.backend) {
                (Some(_), ..) => "because WebGPU failed here".into(),
                (_, _, BackendPreference::Cpu) => "as chosen".into(),
                (_, Some(GpuAdapter::None(why)), _) => format!("because {why}"),
                (_, Some(GpuAdapter::Emulated(name)), _) => {
                    format!("because WebGPU is only emulated here ({name}), which is slower")
                }
                _ => String::new(),
            };
            (name.clone(), why)
        }
    };
    (name, why)
}

/// A probability in at most four signs; what is not certain is never called so.
pub fn percent(p: f32) -> String {
    match p * 100.0 {
        x if !x.is_finite() => "–".into(),
        x if x > 0.0 && x < 1.0 => "< 1 %".into(),
        x if x > 99.0 && p < 1.0 => "> 99 %".into(),
        x => format!("{x:.0} %"),
    }
}

/// The text with each number beside its sign and its %.
pub fn with_nbsp(text: &str) -> String {
    text.replace(" %", "\u{a0}%").replace("> ", ">\u{a0}").replace("< ", "<\u{a0}")
}

/// A distance between pixels in [0,1], in 255ths.
pub fn in_255ths(d: f32) -> String {
    let steps = d * 255.0;
    if (steps - steps.round()).abs() < 0.005 { format!("{steps:.0}/255") } else { format!("{steps:.1}/255") }
}

/// The classes to list: all in order while they are few, else those that matter most for either image.
pub fn top_classes(clean: &[f32], attacked: &[f32], at_most: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..clean.len()).collect();
    if classes.len() > at_most {
        let weight = |c: usize| clean[c].max(attacked.get(c).copied().unwrap_or(0.0));
        classes.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)));
        classes.truncate(at_most);
    }
    classes
}

/// What the model is, in a few words.
pub fn about_model(state: &State) -> String {
    let Some(model) = &state.model else {
        return "loading".into();
    };
    let trained = match (state.model_in_use, model.objective.as_deref()) {
        (Some(Source::Builtin(BuiltinModel { slot: Slot::Standard, .. })), _) => "trained without attacks".into(),
        (Some(Source::Builtin(BuiltinModel { slot: Slot::Adversarial, .. })), _) => {
            "trained on adversarial images alone".into()
        }
        (Some(Source::Builtin(_)), _) => "trained with OTJR against attacks".into(),
        (_, Some(objective)) => format!("trained with {objective}"),
        _ => model.name.clone(),
    };
    format!("{}, {} parameters, {trained}", model.architecture, grouped(model.parameters))
}

/// 78042 -> 78 042, with narrow spaces.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}
