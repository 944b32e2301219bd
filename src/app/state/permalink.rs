//! The permalink: the part of the state that is written to the URL hash and read from it, such as
//! `#model=otjr&sample=3&epsilon=8/255`.

use crate::{
    app::domain::{
        backend::BackendPreference,
        builtin_model::{BuiltinModel, ImageDomain, OWN},
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

/// The settings of an attack that always stand in the address and are in view; the others only if changed.
pub const ESSENTIAL: [&str; 5] = ["attack", "norm", "epsilon", "step", "steps"];

/// How many images an attack on many may take.
pub const IMAGES: [usize; 4] = [20, 50, 100, 500];

/// What an address says.
#[derive(Clone, Debug, PartialEq)]
pub struct Permalink {
    pub model: BuiltinModel,
    pub sample: u64,
    /// The square of a photo that is shown; none for the middle.
    pub crop: Option<Crop>,
    pub attack: AttackConfig,
    /// What the next training run shall be, and begin with.
    pub train: TrainConfig,
    pub init_from: InitFrom,
    /// How many images an attack on many takes.
    pub images: usize,
    /// The class to reach; any other if none.
    pub target: Option<usize>,
    pub backend: BackendPreference,
    /// The open view, if any.
    pub view: Option<ExplorerView>,
    /// The layer that the layers' view looks into; none if empty.
    pub layer: String,
    /// The projection that the transport's view shows.
    pub projection: usize,
    /// The step of the guided tour, from 0, if it is taken.
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
            images: IMAGES[1],
            target: None,
            backend: BackendPreference::default(),
            view: Some(ExplorerView::default()),
            layer: String::new(),
            projection: 0,
            tour: None,
        }
    }
}

/// Stands in an address for no view.
const NONE: &str = "none";

/// Begins in an address the settings of training, of which some have the names of an attack's.
const TRAIN: &str = "train.";

impl Permalink {
    /// Reads what follows the `#`. What cannot be understood keeps its default and gives a sentence about it.
    pub fn parse(hash: &str) -> (Self, Vec<String>) {
        let (mut link, mut problems) = (Self::default(), Vec::new());
        let pairs = hash.trim_start_matches('#').split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        // First what the usual values of the other settings depend on.
        let (first, rest): (Vec<_>, Vec<_>) =
            pairs.partition(|(key, _)| matches!(*key, "attack" | "norm" | "model" | "world"));
        problems.extend(first.iter().filter_map(|(key, value)| link.take(key, &percent_decoded_text(value)).err()));
        link.attack = AttackConfig::of(link.attack.attack, link.attack.norm);
        problems.extend(rest.iter().filter_map(|(key, value)| link.take(key, &percent_decoded_text(value)).err()));
        (link, problems)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        let refuse = |problem: &str, instead: &str| {
            Err(format!("The address says {key} = “{value}”: {problem}. {instead} is used instead."))
        };
        match key {
            "model" => match ImageDomain::ALL.into_iter().flat_map(BuiltinModel::all).find(|m| m.key() == value) {
                Some(model) => self.model = model,
                None if value == OWN => {
                    return Err("This link was made with a model of its maker's own, which it cannot carry. \
                                The robust model is used instead."
                        .into());
                }
                None => return refuse("expected otjr, ce, photo-otjr, photo-ce or photo-pgd", "The robust model"),
            },
            // An own model's.
            "world" => match ImageDomain::ALL.into_iter().find(|world| world.key() == value) {
                Some(world) => self.model = self.model.in_domain(world),
                None => return refuse("expected shapes or photos", self.model.domain.key()),
            },
            "sample" => match value.parse() {
                Ok(sample) if sample < self.model.domain.samples() => self.sample = sample,
                Ok(_) => return refuse("there are not so many images", "Sample 0"),
                Err(_) if value == OWN => {
                    return Err("This link was made with an image of its maker's own, which it cannot carry. \
                                Sample 0 is shown instead."
                        .into());
                }
                Err(_) => return refuse("expected a whole number", "Sample 0"),
            },
            "crop" => match value.split(',').map(str::parse).collect::<Result<Vec<_>, _>>().as_deref() {
                Ok(&[x, y, side]) => self.crop = Some(Crop { x, y, side }),
                _ => return refuse("expected x,y,side in pixels", "The middle"),
            },
            "target" => match value.parse() {
                Ok(class) => self.target = Some(class),
                Err(_) => return refuse("expected the number of a class", "Any other class"),
            },
            "backend" => match BackendPreference::parse(value) {
                Some(wish) => self.backend = wish,
                None => return refuse("expected auto, cpu or gpu", "auto"),
            },
            // One of the page's own models: another's cannot be carried.
            "begin" => match BuiltinModel::all(self.model.domain).find(|model| model.slot.key() == value) {
                Some(model) => self.init_from = InitFrom::Model(model.slot),
                None => return refuse("there is no such model to begin with", "A fresh network"),
            },
            "pictures" => match value.parse().ok().filter(|n| IMAGES.contains(n)) {
                Some(images) => self.images = images,
                None => return refuse("expected 20, 50, 100 or 500", "50"),
            },
            "view" if value == NONE => self.view = None,
            "view" => match ExplorerView::ALL.into_iter().find(|v| v.key() == value) {
                Some(view) => self.view = Some(view),
                None => return refuse("there is no such view", "layers"),
            },
            "layer" => self.layer = value.to_owned(),
            "projection" => match value.parse() {
                Ok(projection) => self.projection = projection,
                Err(_) => return refuse("expected a whole number", "0"),
            },
            "tour" => match value.parse::<usize>() {
                Ok(step) if (1..=STEPS.len()).contains(&step) => self.tour = Some(step - 1),
                _ => return refuse("the tour has no such step", "No step"),
            },
            _ => {
                let (now, set) = match key.strip_prefix(TRAIN) {
                    Some(key) => (self.train.get(key), self.train.set(key, value)),
                    None => (self.attack.get(key), self.attack.set(key, value)),
                };
                let Some(now) = now else {
                    return Err(format!("The address says {key} = “{value}”, but there is no such setting."));
                };
                if let Err(error) = set {
                    return refuse(&error.problem, &now);
                }
            }
        }
        Ok(())
    }

    /// What to write after the `#`; `uploaded_model` and `uploaded_image` say that a file of the user's is in use.
    pub fn hash(&self, uploaded_model: bool, uploaded_image: bool) -> String {
        let mut hash = format!("#model={}", if uploaded_model { OWN } else { self.model.key() });
        let mut add = |key: &str, value: &str| hash.extend(["&", key, "=", value]);
        if uploaded_model && self.model.domain != ImageDomain::default() {
            add("world", self.model.domain.key());
        }
        add("sample", if uploaded_image { OWN.into() } else { self.sample.to_string() }.as_str());
        if let Some(Crop { x, y, side }) =
            self.crop.filter(|_| self.model.domain == ImageDomain::Photos && !uploaded_image)
        {
            add("crop", &format!("{x},{y},{side}"));
        }
        let usual = AttackConfig::of(self.attack.attack, self.attack.norm);
        for (key, value) in self.attack.pairs().into_iter().filter(|(key, _)| self.attack.attack.uses(key)) {
            if ESSENTIAL.contains(&key) || usual.get(key).as_ref() != Some(&value) {
                add(key, &value);
            }
        }
        if let Some(class) = self.target {
            add("target", &class.to_string());
        }
        add("backend", self.backend.key());
        if self.view != Some(ExplorerView::default()) {
            add("view", self.view.map_or(NONE, ExplorerView::key));
        }
        if self.view == Some(ExplorerView::Layers) && !self.layer.is_empty() {
            add("layer", &self.layer);
        }
        if self.view == Some(ExplorerView::Transport) && self.projection > 0 {
            add("projection", &self.projection.to_string());
        }
        let usual = TrainConfig::demo();
        for (key, value) in self.train.pairs().into_iter().filter(|(key, value)| usual.get(key).as_ref() != Some(value))
        {
            add(&format!("{TRAIN}{key}"), &value);
        }
        if let InitFrom::Model(slot) = self.init_from
            && slot != Slot::Custom
        {
            add("begin", slot.key());
        }
        if self.images != Self::default().images {
            add("pictures", &self.images.to_string());
        }
        if let Some(step) = self.tour {
            add("tour", &(step + 1).to_string());
        }
        hash
    }
}
