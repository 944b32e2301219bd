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
    pub(crate) fn on_user_action(&mut self, intent: UserAction) -> Vec<Effect> {
        match intent {
            UserAction::Model(source) => {
                let mut tasks = Vec::new();
                if let Source::Builtin(model) = source {
                    let before = std::mem::replace(&mut self.link.model, model);
                    if model.world != before.world {
                        self.link.target = None;
                        tasks = self.enter(before, self.link.sample);
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
                let index = index % self.link.model.world.samples();
                (self.link.sample, self.link.crop) = (index, None);
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
            UserAction::Crop(crop) => self.crop(crop),
            UserAction::Save(part) => self.save(part),
            UserAction::OpenFile(file, FileKind::Fixture) => {
                self.check = Some(BackendCheck { file, groups: Vec::new(), milliseconds: 0.0 });
                self.load_check()
            }
            UserAction::CloseCheck => {
                self.check = None;
                Vec::new()
            }
            UserAction::Set(key, value) => self.set(key, &value),
            UserAction::Target(target) => {
                self.link.target = target;
                self.schedule_attack(PAUSE)
            }
            UserAction::Backend(wish) => self.choose(wish),
            UserAction::Rerun => {
                self.link.attack.seed = self.link.attack.seed.wrapping_add(1);
                self.schedule_attack(PAUSE)
            }
            UserAction::AttackBatch(images) => {
                let Some(slot) = self.slot() else { return Vec::new() };
                self.cancel_probe();
                self.last_id += 1;
                let (id, config) = (self.last_id, self.link.attack.clone());
                let settings = config.to_pairs();
                let set = batch::set(self).unwrap_or_default();
                self.many = Some(BatchAttack { id, config, set, running: true, ..BatchAttack::default() });
                self.preempt_attack();
                vec![Effect::Send(Command::Evaluate { id, slot, settings, images })]
            }
            UserAction::Rewind(stop) => self.rewind(stop),
            UserAction::SetBatchSize(images) => {
                self.link.images = images;
                Vec::new()
            }
            UserAction::OpenView(view) => {
                self.link.view = view;
                self.schedule_next()
            }
            UserAction::Layer(layer) => {
                self.link.layer = layer;
                self.schedule_next()
            }
            UserAction::Projection(projection) => {
                self.link.projection = projection;
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
            UserAction::Navigate(hash) => self.visit(&hash),
            UserAction::Train(wish) => self.on_training_action(wish),
        }
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) -> Vec<Effect> {
        let before = self.link.attack.clone();
        if let Err(error) = self.link.attack.set(key, value) {
            self.notice(error.to_string());
            return Vec::new();
        }
        let now = &self.link.attack;
        if (now.attack, now.norm) != (before.attack, before.norm) {
            // Another attack has other usual parameters. A radius in one norm means nothing in another; in the same it stays.
            let usual = AttackConfig { seed: before.seed, ..AttackConfig::of(now.attack, now.norm) };
            let epsilon = if usual.norm == before.norm { before.epsilon } else { usual.epsilon };
            self.link.attack = AttackConfig { epsilon, ..usual };
        }
        self.schedule_attack(PAUSE)
    }
}
