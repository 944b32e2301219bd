//! Handles changes of the URL hash and of the image domain.

use std::mem;

use crate::{
    app::{
        domain::{
            builtin_model::{BuiltinModel, UPLOADED},
            effect::Effect,
            source::Source,
        },
        state::{PreviousDomain, State, permalink::Permalink},
        update::attack::ATTACK_DELAY,
    },
    data::crop::Crop,
    protocol::{Command, InitFrom, Slot},
};

/// The parameters of a URL hash.
struct Parameters<'a>(Vec<&'a str>);

impl<'a> Parameters<'a> {
    fn new(hash: &'a str) -> Self {
        Self(hash.trim_start_matches('#').split('&').collect())
    }

    /// Removes `key=own` if there is such a file, whose number is returned.
    fn take_uploaded(&mut self, key: &str, file: Option<usize>) -> Option<usize> {
        let parameter = format!("{key}={UPLOADED}");
        if file.is_none() || !self.0.contains(&parameter.as_str()) {
            return None;
        }
        self.0.retain(|other| *other != parameter);
        file
    }

    fn contains_prefix(&self, prefix: &str) -> bool {
        self.0.iter().any(|parameter| parameter.starts_with(prefix))
    }
}

/// What to show after a change of the URL hash.
struct Destination {
    permalink: Permalink,
    model: Source<BuiltinModel>,
    image: Option<Source<u64>>,
}

impl State {
    /// Changes the image domain to that of the permalink. `previous_model` and `previous_sample` are the former selection.
    pub(crate) fn enter_domain(&mut self, previous_model: BuiltinModel, previous_sample: u64) -> Vec<Effect> {
        self.comparison.reset();
        self.cancel_probe();
        self.reset_unavailable_init();
        if let Some(model_source) = self.model_source.take() {
            let (builtin_model, sample) = (previous_model, previous_sample);
            self.previous_domain = Some(PreviousDomain { model_source, builtin_model, sample });
        }
        let mut effects = self.load_reference_images();
        if self.backend.current.is_some() {
            effects.push(Effect::Send(Command::UnloadBuiltinModels));
        }
        effects
    }

    /// Resets the initial weights of the next run if they are those of a model of another domain.
    fn reset_unavailable_init(&mut self) {
        let InitFrom::Model(slot) = self.permalink.init_from else { return };
        let mut models = BuiltinModel::all(self.permalink.model.domain);
        if slot != Slot::Custom && !models.any(|model| model.slot == slot) {
            self.permalink.init_from = InitFrom::Scratch;
        }
    }

    /// Restores the previous image domain, because no model of the new one could be loaded.
    pub(crate) fn return_to_previous_domain(&mut self) -> Vec<Effect> {
        let Some(previous) = self.previous_domain.take() else { return Vec::new() };
        self.permalink.model = previous.builtin_model;
        self.reset_unavailable_init();
        let mut effects = self.load_reference_images();
        if !matches!(self.requested_image, Some(Source::Uploaded(_))) {
            effects.extend(self.select_sample(previous.sample));
        }
        self.requested_model = Some(previous.model_source);
        effects.extend(self.load_model());
        effects
    }

    /// Applies a URL hash: the user edited the URL, went back in history or followed a link.
    pub(crate) fn navigate(&mut self, hash: &str) -> Vec<Effect> {
        if hash == self.hash() {
            return Vec::new();
        }
        let Destination { permalink, model, image } = self.resolve(hash);
        let old = mem::replace(&mut self.permalink, permalink);
        let enters_domain = self.permalink.model.domain != old.model.domain;
        let mut effects = Vec::new();
        if self.permalink.backend != old.backend {
            effects.extend(self.set_backend_preference(self.permalink.backend));
        }
        if enters_domain {
            effects.extend(self.enter_domain(old.model, old.sample));
        }
        effects.extend(self.go_to_image(image, &old));
        if enters_domain || self.requested_model != Some(model) {
            effects.extend(self.select_model(model));
        }
        if (&self.permalink.attack, self.permalink.target) != (&old.attack, old.target) {
            effects.extend(self.schedule_attack(ATTACK_DELAY));
        } else if effects.is_empty() {
            effects = self.schedule_next();
        }
        effects
    }

    /// Parses a URL hash. Uploaded files, which a URL cannot contain, are resolved to those of this session.
    fn resolve(&mut self, hash: &str) -> Destination {
        let mut parameters = Parameters::new(hash);
        let uploaded_model = parameters.take_uploaded("model", self.uploaded_model);
        let uploaded_image = parameters.take_uploaded("sample", self.uploaded_image);
        let (mut permalink, problems) = Permalink::parse(&parameters.0.join("&"));
        for problem in problems {
            self.notify(problem);
        }
        let enters_domain = permalink.model.domain != self.permalink.model.domain;
        let is_tour = permalink.tour.is_some();
        if is_tour {
            self.keep_omitted(&parameters, &mut permalink);
        }
        let keeps_image = is_tour
            && !parameters.contains_prefix("sample=")
            && (!enters_domain || matches!(self.requested_image, Some(Source::Uploaded(_))));
        if self.permalink.init_from == InitFrom::Model(Slot::Custom) && permalink.init_from == InitFrom::Scratch {
            permalink.init_from = self.permalink.init_from;
        }
        if !enters_domain && (keeps_image || uploaded_image.is_some()) {
            (permalink.sample, permalink.crop) = (self.permalink.sample, self.permalink.crop);
        }
        let model = uploaded_model.map_or(Source::Builtin(permalink.model), Source::Uploaded);
        let image = match uploaded_image {
            Some(file) => Some(Source::Uploaded(file)),
            None if keeps_image => self.requested_image,
            None => Some(Source::Builtin(permalink.sample)),
        };
        Destination { permalink, model, image }
    }

    /// A step of the tour changes only what its link contains. The other parameters keep their values.
    fn keep_omitted(&self, parameters: &Parameters<'_>, permalink: &mut Permalink) {
        if !parameters.contains_prefix("backend=") {
            permalink.backend = self.permalink.backend;
        }
        if !parameters.contains_prefix("train.") {
            permalink.train = self.permalink.train.clone();
        }
        if !parameters.contains_prefix("begin=") {
            permalink.init_from = self.permalink.init_from;
        }
        if !parameters.contains_prefix("pictures=") {
            permalink.batch_size = self.permalink.batch_size;
        }
    }

    /// Loads the image, or its new crop, unless it is already shown.
    fn go_to_image(&mut self, image: Option<Source<u64>>, old: &Permalink) -> Vec<Effect> {
        let is_sample = matches!(image, Some(Source::Builtin(_)));
        // The same number is another sample in another domain.
        let is_other_sample = is_sample && self.permalink.model.domain != old.model.domain;
        if self.requested_image != image || is_other_sample {
            self.requested_image = image;
            return self.load_image();
        }
        if is_sample
            && self.permalink.crop != old.crop
            && let Some(state) = &self.crop
        {
            return self.set_crop(self.permalink.crop.unwrap_or(Crop::centered(state.source.size)));
        }
        Vec::new()
    }
}
