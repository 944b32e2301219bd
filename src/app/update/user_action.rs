//! Handles the actions of the user.

use crate::{
    app::{
        domain::{
            action::UserAction, builtin_model::BuiltinModel, effect::Effect, file_kind::FileKind, source::Source,
        },
        state::{State, attack::AttackPhase, backend_check::BackendCheck, images::UserImage},
        update::attack::ATTACK_DELAY,
    },
    attack::AttackConfig,
    protocol::Command,
    settings::Settings,
};

impl State {
    pub(crate) fn on_user_action(&mut self, action: UserAction) -> Vec<Effect> {
        match action {
            UserAction::SelectModel(source) => return self.select_model(source),
            UserAction::SelectSample(index) => return self.select_sample(index),
            UserAction::OpenFile(file, kind) => return self.open_file(file, kind),
            UserAction::AddUpload(file, name) => self.uploads.push(UserImage { file, name, crop: None }),
            UserAction::SetCrop(crop) => return self.set_crop(crop),
            UserAction::ExportImage(image) => return self.export_image(image),
            UserAction::SetAttackSetting(key, value) => return self.set_attack_setting(key, &value),
            UserAction::SetTarget(target) => {
                self.permalink.target = target;
                return self.schedule_attack(ATTACK_DELAY);
            }
            UserAction::SetBackend(preference) => return self.set_backend_preference(preference),
            UserAction::Rerun => {
                self.permalink.attack.seed = self.permalink.attack.seed.wrapping_add(1);
                return self.schedule_attack(ATTACK_DELAY);
            }
            UserAction::Stop => return self.stop(),
            UserAction::Rewind(stop) => return self.rewind(stop),
            UserAction::OpenView(view) => {
                self.permalink.view = view;
                return self.schedule_next();
            }
            UserAction::SelectLayer(layer) => {
                self.permalink.layer = layer;
                return self.schedule_next();
            }
            UserAction::SelectProjection(projection) => self.permalink.projection = projection,
            UserAction::SetBatchSize(images) => self.permalink.batch_size = images,
            UserAction::AttackBatch(images) => return self.attack_batch(images),
            UserAction::DismissNotice(id) => self.notices.retain(|notice| notice.id != id),
            UserAction::CloseBackendCheck => self.backend_check = None,
            UserAction::Navigate(hash) => return self.navigate(&hash),
            UserAction::Train(action) => return self.on_training_action(action),
        }
        Vec::new()
    }

    pub(crate) fn select_model(&mut self, source: Source<BuiltinModel>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Source::Builtin(model) = source {
            let previous = std::mem::replace(&mut self.permalink.model, model);
            if model.domain != previous.domain {
                self.permalink.target = None;
                effects = self.enter_domain(previous, self.permalink.sample);
                if !matches!(self.requested_image, Some(Source::Uploaded(_))) {
                    effects.extend(self.select_sample(0));
                }
            }
        }
        self.requested_model = Some(source);
        effects.extend(self.focus(source));
        effects
    }

    pub(crate) fn select_sample(&mut self, index: u64) -> Vec<Effect> {
        let index = index % self.permalink.model.domain.samples();
        (self.permalink.sample, self.permalink.crop) = (index, None);
        self.requested_image = Some(Source::Builtin(index));
        self.load_image()
    }

    fn open_file(&mut self, file: usize, kind: FileKind) -> Vec<Effect> {
        match kind {
            FileKind::Model => {
                self.requested_model = Some(Source::Uploaded(file));
                self.load_model()
            }
            FileKind::Image => {
                self.requested_image = Some(Source::Uploaded(file));
                self.load_image()
            }
            FileKind::Fixture => {
                self.backend_check = Some(BackendCheck { file, groups: Vec::new(), milliseconds: 0.0 });
                self.load_fixture()
            }
        }
    }

    fn set_attack_setting(&mut self, key: &str, value: &str) -> Vec<Effect> {
        let previous = self.permalink.attack.clone();
        if let Err(error) = self.permalink.attack.set(key, value) {
            self.notify(error.to_string());
            return Vec::new();
        }
        let current = &self.permalink.attack;
        if (current.attack, current.norm) != (previous.attack, previous.norm) {
            // Another attack has other defaults. The radius is kept unless the norm has changed.
            let defaults = AttackConfig { seed: previous.seed, ..AttackConfig::of(current.attack, current.norm) };
            let epsilon = if defaults.norm == previous.norm { previous.epsilon } else { defaults.epsilon };
            self.permalink.attack = AttackConfig { epsilon, ..defaults };
        }
        self.schedule_attack(ATTACK_DELAY)
    }

    fn stop(&mut self) -> Vec<Effect> {
        if self.attack.phase == AttackPhase::Scheduled {
            self.attack.phase = AttackPhase::Idle;
        }
        vec![Effect::Send(Command::Stop)]
    }
}
