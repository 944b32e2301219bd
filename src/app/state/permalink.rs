//! The permalink: the part of the state that is written to the URL hash and read from it, such as
//! `#model=otjr&sample=3&epsilon=8/255`.

use crate::{
    app::domain::{
        backend::BackendPreference,
        builtin_model::{BuiltinModel, ImageDomain, UPLOADED},
        explorer_view::ExplorerView,
        percent_decoding::percent_decoded_text,
        tour::STEPS,
    },
    attack::AttackConfig,
    data::crop::Crop,
    protocol::{InitFrom, Slot},
    settings::Settings,
    train::TrainConfig,
};

/// The attack settings that the URL always contains and that the page always shows. The others only if they are changed.
pub const ESSENTIAL: [&str; 5] = ["attack", "norm", "epsilon", "step", "steps"];

/// The batch sizes that the page offers for an attack on a batch of images.
pub const BATCH_SIZES: [usize; 4] = [20, 50, 100, 500];

/// The value of `view` if no view is open.
const NO_VIEW: &str = "none";

/// Prefix of training settings, because some of them have the same name as attack settings.
const TRAIN_PREFIX: &str = "train.";

/// The part of the state that the URL hash contains.
#[derive(Clone, Debug, PartialEq)]
pub struct Permalink {
    /// The built-in model in focus.
    pub model: BuiltinModel,
    /// The sample.
    pub sample: u64,
    /// The crop of a photo; `None` for the centered one.
    pub crop: Option<Crop>,
    /// The settings of the attack.
    pub attack: AttackConfig,
    /// The settings of the next training run.
    pub train: TrainConfig,
    /// The initial weights of the next training run.
    pub init_from: InitFrom,
    /// Number of images of an attack on a batch, one of [`BATCH_SIZES`].
    pub batch_size: usize,
    /// The target class; `None` for an untargeted attack.
    pub target: Option<usize>,
    /// The preferred backend.
    pub backend: BackendPreference,
    /// The open view.
    pub view: Option<ExplorerView>,
    /// The layer whose channels are shown; empty for none.
    pub layer: String,
    /// The projection of the transport that is shown.
    pub projection: usize,
    /// The step of the guided tour, from 0.
    pub tour: Option<usize>,
}

impl Default for Permalink {
    fn default() -> Self {
        Self {
            model: BuiltinModel::default(),
            sample: 0,
            crop: None,
            attack: AttackConfig::default(),
            train: TrainConfig::demo(),
            init_from: InitFrom::Scratch,
            batch_size: BATCH_SIZES[1],
            target: None,
            backend: BackendPreference::default(),
            view: Some(ExplorerView::default()),
            layer: String::new(),
            projection: 0,
            tour: None,
        }
    }
}

/// Why a parameter is ignored.
enum Rejection {
    /// The value is invalid, and what is used instead.
    Invalid { problem: String, used: String },
    /// There is no such parameter.
    Unknown,
    /// The value stands for a file of the user who made the link. A sentence for the user.
    Uploaded(&'static str),
}

impl Rejection {
    fn invalid(problem: &str, used: &str) -> Self {
        Self::Invalid { problem: problem.to_owned(), used: used.to_owned() }
    }

    /// A sentence for the user.
    fn message(self, key: &str, value: &str) -> String {
        match self {
            Self::Invalid { problem, used } => {
                format!("The link contains {key} = “{value}”: {problem}. {used} is used instead.")
            }
            Self::Unknown => format!("The link contains {key} = “{value}”, but there is no such setting."),
            Self::Uploaded(message) => message.to_owned(),
        }
    }
}

impl Permalink {
    /// Parses a URL hash. Parameters that are invalid keep their defaults; there is a sentence about each of them.
    pub fn parse(hash: &str) -> (Self, Vec<String>) {
        let mut parameters: Vec<(&str, String)> = Vec::new();
        for parameter in hash.trim_start_matches('#').split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            parameters.push((key, percent_decoded_text(value)));
        }
        // The defaults of the other settings depend on these.
        let is_first = |key: &str| matches!(key, "attack" | "norm" | "model" | "world");
        let (first, rest): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|(key, _)| is_first(key));

        let (mut permalink, mut problems) = (Self::default(), Vec::new());
        permalink.set_params(&first, &mut problems);
        permalink.attack = AttackConfig::of(permalink.attack.attack, permalink.attack.norm);
        permalink.set_params(&rest, &mut problems);
        (permalink, problems)
    }

    fn set_params(&mut self, parameters: &[(&str, String)], problems: &mut Vec<String>) {
        for (key, value) in parameters {
            if let Err(rejection) = self.set_param(key, value) {
                problems.push(rejection.message(key, value));
            }
        }
    }

    fn set_param(&mut self, key: &str, value: &str) -> Result<(), Rejection> {
        match key {
            "model" => self.model = parse_model(value)?,
            "world" => self.model = self.model.in_domain(parse_domain(value, self.model.domain)?),
            "sample" => self.sample = parse_sample(value, self.model.domain)?,
            "crop" => self.crop = Some(parse_crop(value)?),
            "target" => self.target = Some(parse_target(value)?),
            "backend" => self.backend = parse_backend(value)?,
            "begin" => self.init_from = parse_init_from(value, self.model.domain)?,
            "pictures" => self.batch_size = parse_batch_size(value)?,
            "view" => self.view = parse_view(value)?,
            "layer" => self.layer = value.to_owned(),
            "projection" => self.projection = parse_projection(value)?,
            "tour" => self.tour = Some(parse_tour_step(value)?),
            _ => match key.strip_prefix(TRAIN_PREFIX) {
                Some(key) => set_setting(&mut self.train, key, value)?,
                None => set_setting(&mut self.attack, key, value)?,
            },
        }
        Ok(())
    }

    /// The URL hash. The flags tell whether a file of the user is in use instead of the built-in model or the sample.
    pub fn hash(&self, has_uploaded_model: bool, has_uploaded_image: bool) -> String {
        let mut hash = Hash::default();
        self.add_selection(&mut hash, has_uploaded_model, has_uploaded_image);
        self.add_attack(&mut hash);
        self.add_view(&mut hash);
        self.add_training(&mut hash);
        if self.batch_size != Self::default().batch_size {
            hash.add("pictures", &self.batch_size.to_string());
        }
        if let Some(step) = self.tour {
            hash.add("tour", &(step + 1).to_string());
        }
        hash.0
    }

    fn add_selection(&self, hash: &mut Hash, has_uploaded_model: bool, has_uploaded_image: bool) {
        hash.add("model", if has_uploaded_model { UPLOADED } else { self.model.key() });
        if has_uploaded_model && self.model.domain != ImageDomain::default() {
            hash.add("world", self.model.domain.key());
        }
        if has_uploaded_image {
            hash.add("sample", UPLOADED);
            return;
        }
        hash.add("sample", &self.sample.to_string());
        if let Some(Crop { x, y, side }) = self.crop
            && self.model.domain == ImageDomain::Photos
        {
            hash.add("crop", &format!("{x},{y},{side}"));
        }
    }

    fn add_attack(&self, hash: &mut Hash) {
        let defaults = AttackConfig::of(self.attack.attack, self.attack.norm);
        for (key, value) in self.attack.pairs() {
            let is_shown = ESSENTIAL.contains(&key) || defaults.get(key).as_ref() != Some(&value);
            if is_shown && self.attack.attack.uses(key) {
                hash.add(key, &value);
            }
        }
        if let Some(class) = self.target {
            hash.add("target", &class.to_string());
        }
        hash.add("backend", self.backend.key());
    }

    fn add_view(&self, hash: &mut Hash) {
        if self.view != Some(ExplorerView::default()) {
            hash.add("view", self.view.map_or(NO_VIEW, ExplorerView::key));
        }
        if self.view == Some(ExplorerView::Layers) && !self.layer.is_empty() {
            hash.add("layer", &self.layer);
        }
        if self.view == Some(ExplorerView::Transport) && self.projection > 0 {
            hash.add("projection", &self.projection.to_string());
        }
    }

    fn add_training(&self, hash: &mut Hash) {
        let defaults = TrainConfig::demo();
        for (key, value) in self.train.pairs() {
            if defaults.get(key).as_ref() != Some(&value) {
                hash.add(&format!("{TRAIN_PREFIX}{key}"), &value);
            }
        }
        if let InitFrom::Model(slot) = self.init_from
            && slot != Slot::Custom
        {
            hash.add("begin", slot.key());
        }
    }
}

/// A URL hash.
#[derive(Default)]
struct Hash(String);

impl Hash {
    fn add(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '#' } else { '&' });
        self.0.extend([key, "=", value]);
    }
}

fn parse_model(value: &str) -> Result<BuiltinModel, Rejection> {
    if value == UPLOADED {
        return Err(Rejection::Uploaded(
            "This link was made with an uploaded model, which a link cannot contain. The robust model is used instead.",
        ));
    }
    let mut models = ImageDomain::ALL.into_iter().flat_map(BuiltinModel::all);
    models
        .find(|model| model.key() == value)
        .ok_or_else(|| Rejection::invalid("expected otjr, ce, photo-otjr, photo-ce or photo-pgd", "The robust model"))
}

/// `current` is used if the value is invalid.
fn parse_domain(value: &str, current: ImageDomain) -> Result<ImageDomain, Rejection> {
    let domain = ImageDomain::ALL.into_iter().find(|domain| domain.key() == value);
    domain.ok_or_else(|| Rejection::invalid("expected shapes or photos", current.key()))
}

fn parse_sample(value: &str, domain: ImageDomain) -> Result<u64, Rejection> {
    if value == UPLOADED {
        return Err(Rejection::Uploaded(
            "This link was made with an uploaded image, which a link cannot contain. Sample 0 is shown instead.",
        ));
    }
    match value.parse() {
        Ok(sample) if sample < domain.samples() => Ok(sample),
        Ok(_) => Err(Rejection::invalid("there is no such sample", "Sample 0")),
        Err(_) => Err(Rejection::invalid("expected a whole number", "Sample 0")),
    }
}

fn parse_crop(value: &str) -> Result<Crop, Rejection> {
    let numbers: Option<Vec<u32>> = value.split(',').map(|number| number.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[x, y, side]) => Ok(Crop { x, y, side }),
        _ => Err(Rejection::invalid("expected x,y,side in pixels", "The centered crop")),
    }
}

fn parse_target(value: &str) -> Result<usize, Rejection> {
    value.parse().map_err(|_| Rejection::invalid("expected the index of a class", "Any other class"))
}

fn parse_backend(value: &str) -> Result<BackendPreference, Rejection> {
    BackendPreference::parse(value).ok_or_else(|| Rejection::invalid("expected auto, cpu or gpu", "auto"))
}

/// Only built-in models are accepted. A link cannot contain an uploaded one.
fn parse_init_from(value: &str, domain: ImageDomain) -> Result<InitFrom, Rejection> {
    match BuiltinModel::all(domain).find(|model| model.slot.key() == value) {
        Some(model) => Ok(InitFrom::Model(model.slot)),
        None => Err(Rejection::invalid("there is no such model to start from", "A network with random weights")),
    }
}

fn parse_batch_size(value: &str) -> Result<usize, Rejection> {
    match value.parse() {
        Ok(size) if BATCH_SIZES.contains(&size) => Ok(size),
        _ => Err(Rejection::invalid("expected 20, 50, 100 or 500", "50")),
    }
}

fn parse_view(value: &str) -> Result<Option<ExplorerView>, Rejection> {
    if value == NO_VIEW {
        return Ok(None);
    }
    match ExplorerView::ALL.into_iter().find(|view| view.key() == value) {
        Some(view) => Ok(Some(view)),
        None => Err(Rejection::invalid("there is no such view", "layers")),
    }
}

fn parse_projection(value: &str) -> Result<usize, Rejection> {
    value.parse().map_err(|_| Rejection::invalid("expected a whole number", "0"))
}

fn parse_tour_step(value: &str) -> Result<usize, Rejection> {
    match value.parse::<usize>() {
        Ok(step) if (1..=STEPS.len()).contains(&step) => Ok(step - 1),
        _ => Err(Rejection::invalid("the tour has no such step", "No step")),
    }
}

fn set_setting(settings: &mut impl Settings, key: &str, value: &str) -> Result<(), Rejection> {
    let current = settings.get(key).ok_or(Rejection::Unknown)?;
    settings.set(key, value).map_err(|error| Rejection::invalid(&error.problem, &current))
}
