//! Handles the actions of the user.

use crate::{
    app::{
        domain::{action::UserAction, effect::Effect, file_kind::FileKind, source::Source},
        state::{
            State,
            attack::AttackPhase,
            backend_check::BackendCheck,
            batch::{self, BatchAttack},
            images::UserImage,
        },
    },
    attack::AttackConfig,
    protocol::Command,
    settings::Settings,
};

/// Milliseconds without a further change after which an attack begins: a slider on its way starts none.
pub(crate) const PAUSE: u32 = 40;

impl State {
    pub(crate) fn on_user_action(&mut self, action: UserAction) -> Vec<Effect> {
        match action {
            UserAction::Model(source) => {
                let mut tasks = Vec::new();
                if let Source::Builtin(model) = source {
                    let before = std::mem::replace(&mut self.permalink.model, model);
                    if model.domain != before.domain {
                        self.permalink.target = None;
                        tasks = self.enter_domain(before, self.permalink.sample);
                        if !matches!(self.image_wanted, Some(Source::Uploaded(_))) {
                            tasks.extend(self.on_user_action(UserAction::Sample(0)));
                        }
                    }
                }
                self.model_wanted = Some(source);
                tasks.extend(self.focus(source));
                tasks
            }
            UserAction::Sample(index) => {
                let index = index % self.permalink.model.domain.samples();
                (self.permalink.sample, self.permalink.crop) = (index, None);
                self.image_wanted = Some(Source::Builtin(index));
                self.load_image()
            }
            UserAction::OpenFile(n, FileKind::Model) => {
                self.model_wanted = Some(Source::Uploaded(n));
                self.load_model()
            }
            UserAction::OpenFile(n, FileKind::Image) => {
                self.image_wanted = Some(Source::Uploaded(n));
                self.load_image()
            }
            UserAction::AddUpload(file, name) => {
                self.uploads.push(UserImage { file, name, crop: None });
                Vec::new()
            }
            UserAction::Crop(crop) => self.set_crop(crop),
            UserAction::Save(part) => self.export_image(part),
            UserAction::OpenFile(file, FileKind::Fixture) => {
                self.backend_check = Some(BackendCheck { file, groups: Vec::new(), milliseconds: 0.0 });
                self.load_fixture()
            }
            UserAction::CloseCheck => {
                self.backend_check = None;
                Vec::new()
            }
            UserAction::Set(key, value) => self.set_attack_setting(key, &value),
            UserAction::Target(target) => {
                self.permalink.target = target;
                self.schedule_attack(PAUSE)
            }
            UserAction::Backend(wish) => self.set_backend_preference(wish),
            UserAction::Rerun => {
                self.permalink.attack.seed = self.permalink.attack.seed.wrapping_add(1);
                self.schedule_attack(PAUSE)
            }
            UserAction::AttackBatch(images) => {
                let Some(slot) = self.slot() else { return Vec::new() };
                self.cancel_probe();
                self.last_id += 1;
                let (id, config) = (self.last_id, self.permalink.attack.clone());
                let settings = config.to_pairs();
                let set = batch::evaluation_dataset(self).unwrap_or_default();
                self.batch = Some(BatchAttack { id, config, set, running: true, ..BatchAttack::default() });
                self.preempt_attack();
                vec![Effect::Send(Command::Evaluate { id, slot, settings, images })]
            }
            UserAction::Rewind(stop) => self.rewind(stop),
            UserAction::SetBatchSize(images) => {
                self.permalink.images = images;
                Vec::new()
            }
            UserAction::OpenView(view) => {
                self.permalink.view = view;
                self.schedule_next()
            }
            UserAction::Layer(layer) => {
                self.permalink.layer = layer;
                self.schedule_next()
            }
            UserAction::Projection(projection) => {
                self.permalink.projection = projection;
                Vec::new()
            }
            UserAction::Stop => {
                if self.attack.phase == AttackPhase::Scheduled {
                    self.attack.phase = AttackPhase::Idle;
                }
                vec![Effect::Send(Command::Stop)]
            }
            UserAction::Dismiss(id) => {
                self.notices.retain(|n| n.id != id);
                Vec::new()
            }
            UserAction::Navigate(hash) => self.navigate(&hash),
            UserAction::Train(wish) => self.on_training_action(wish),
        }
    }

    pub(crate) fn set_attack_setting(&mut self, key: &str, value: &str) -> Vec<Effect> {
        let before = self.permalink.attack.clone();
        if let Err(error) = self.permalink.attack.set(key, value) {
            self.notice(error.to_string());
            return Vec::new();
        }
        let now = &self.permalink.attack;
        if (now.attack, now.norm) != (before.attack, before.norm) {
            // Another attack has other usual parameters. A radius in one norm means nothing in another; in the same it stays.
            let usual = AttackConfig { seed: before.seed, ..AttackConfig::of(now.attack, now.norm) };
            let epsilon = if usual.norm == before.norm { before.epsilon } else { usual.epsilon };
            self.permalink.attack = AttackConfig { epsilon, ..usual };
        }
        self.schedule_attack(PAUSE)
    }
}
