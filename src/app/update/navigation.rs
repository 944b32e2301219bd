//! Handles changes of the URL hash and of the image domain.

use crate::{
    app::{
        domain::{action::UserAction, builtin_model::BuiltinModel, effect::Effect, source::Source},
        state::{State, permalink::Permalink},
        update::user_action::PAUSE,
    },
    data::crop::Crop,
    protocol::{Command, InitFrom, Slot},
};

impl State {
    /// The models are of another world from now on, no longer of that of `model`, where `sample` was in view.
    pub(crate) fn enter_domain(&mut self, model: BuiltinModel, sample: u64) -> Vec<Effect> {
        self.comparison.reset();
        self.cancel_probe();
        self.reset_unavailable_origin();
        self.left = self.model_in_use.take().map(|source| (source, model, sample)).or(self.left);
        let mut tasks = self.load_reference();
        if self.backend.current.is_some() {
            tasks.push(Effect::Send(Command::UnloadBuiltinModels));
        }
        tasks
    }

    /// The next run begins with no model of another world.
    fn reset_unavailable_origin(&mut self) {
        let here = |slot| {
            slot == Slot::Custom || BuiltinModel::all(self.permalink.model.domain).any(|model| model.slot == slot)
        };
        if matches!(self.permalink.init_from, InitFrom::Model(slot) if !here(slot)) {
            self.permalink.init_from = InitFrom::Scratch;
        }
    }

    /// Nothing can be had of the world that was entered: back to the one before.
    pub(crate) fn return_to_previous_domain(&mut self) -> Vec<Effect> {
        let Some((source, model, sample)) = self.left.take() else { return Vec::new() };
        self.permalink.model = model;
        self.reset_unavailable_origin();
        let mut tasks = self.load_reference();
        if !matches!(self.image_wanted, Some(Source::Uploaded(_))) {
            tasks.extend(self.on_user_action(UserAction::Sample(sample)));
        }
        self.model_wanted = Some(source);
        tasks.extend(self.load_model());
        tasks
    }

    /// The user changed the address by hand, went back in history or followed a link of the page.
    pub(crate) fn navigate(&mut self, hash: &str) -> Vec<Effect> {
        if hash == self.hash() {
            return Vec::new();
        }
        let mut pairs: Vec<&str> = hash.trim_start_matches('#').split('&').collect();
        // What an address cannot carry is still here.
        let mut own = |pair: &str, last: Option<usize>| {
            let last = last.filter(|_| pairs.contains(&pair));
            pairs.retain(|p| last.is_none() || *p != pair);
            last
        };
        let (uploaded_model, uploaded_image) =
            (own("model=own", self.uploaded_model), own("sample=own", self.uploaded_image));
        let (mut link, problems) = Permalink::parse(&pairs.join("&"));
        let entered = link.model.domain != self.permalink.model.domain;
        let mut image_stays = false;
        // A step of the tour says what it is about; the rest stays as it was.
        if link.tour.is_some() {
            let silent = |of: &str| !pairs.iter().any(|pair| pair.starts_with(of));
            if silent("backend=") {
                link.backend = self.permalink.backend;
            }
            if silent("train.") {
                link.train = self.permalink.train.clone();
            }
            if silent("begin=") {
                link.init_from = self.permalink.init_from;
            }
            if silent("pictures=") {
                link.images = self.permalink.images;
            }
            image_stays = silent("sample=") && (!entered || matches!(self.image_wanted, Some(Source::Uploaded(_))));
        }
        if self.permalink.init_from == InitFrom::Model(Slot::Custom) && link.init_from == InitFrom::Scratch {
            link.init_from = self.permalink.init_from;
        }
        if !entered && (image_stays || uploaded_image.is_some()) {
            (link.sample, link.crop) = (self.permalink.sample, self.permalink.crop);
        }
        let model = uploaded_model.map_or(Source::Builtin(link.model), Source::Uploaded);
        let image = match uploaded_image {
            Some(n) => Some(Source::Uploaded(n)),
            None if image_stays => self.image_wanted,
            None => Some(Source::Builtin(link.sample)),
        };
        problems.into_iter().for_each(|p| self.notice(p));
        let old = std::mem::replace(&mut self.permalink, link);
        let mut tasks = Vec::new();
        if self.permalink.backend != old.backend {
            tasks.extend(self.set_backend_preference(self.permalink.backend));
        }
        if entered {
            tasks.extend(self.enter_domain(old.model, old.sample));
        }
        // The same number is another sample in another world.
        let ours = matches!(image, Some(Source::Builtin(_)));
        if self.image_wanted != image || entered && ours {
            self.image_wanted = image;
            tasks.extend(self.load_image());
        } else if ours
            && self.permalink.crop != old.crop
            && let Some(frame) = &self.crop
        {
            tasks.extend(self.set_crop(self.permalink.crop.unwrap_or(Crop::centered(frame.source.size))));
        }
        if entered || self.model_wanted != Some(model) {
            tasks.extend(self.on_user_action(UserAction::Model(model)));
        }
        if (&self.permalink.attack, self.permalink.target) != (&old.attack, old.target) {
            tasks.extend(self.schedule_attack(PAUSE));
        } else if tasks.is_empty() {
            tasks = self.schedule_next();
        }
        tasks
    }
}
