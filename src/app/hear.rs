//! What the worker says, and what follows from it. Part of the fold in `state`.

use super::{
    explore::Explored,
    intents::PAUSE,
    message::{Kind, Source, Task},
    saved::Saved,
    sides::ComparedModel,
    state::{Attack, Phase, State},
};
use crate::protocol::{ErrorScope, Event, Slot, Transfer};

impl State {
    pub(super) fn hear_current(&mut self, kind: Kind, event: Event) -> Vec<Task> {
        match event {
            Event::ModelLoaded { slot: Slot::Run, .. } => return self.judge_loaded(),
            Event::ModelLoaded { slot, model } => {
                self.sides.fetching.take_if(|source| source.slot() == slot);
                self.forget_judge(slot);
                match self.model_wanted.filter(|source| source.slot() == slot) {
                    Some(source) => {
                        if self.slot() != Some(slot) {
                            self.put_aside(source);
                        }
                        if let Source::Own(n) = source {
                            self.own_model = Some(n);
                        }
                        self.link.target = self.link.target.filter(|&class| class < model.classes.len());
                        (self.model, self.model_in_use) = (Some(model), Some(source));
                        self.left = None;
                    }
                    // What it makes of the image comes next.
                    None => {
                        self.sides.loaded.insert(slot, ComparedModel::new(model));
                    }
                }
            }
            Event::ImageLoaded { image } => {
                if self.image.as_ref().is_none_or(|p| p.pixels != image.pixels) {
                    // The old image's attack says nothing about the new one.
                    self.forget_attack();
                    self.attack.phase = Phase::Idle;
                    self.clean.clear();
                    self.sides.forget_image();
                    self.explored = Explored::default();
                    self.follow_anew();
                }
                let ask = self.seen(image.crop);
                self.image = Some(image);
                self.image_in_use = self.image_wanted;
                if let Some(Source::Own(n)) = self.image_in_use {
                    self.own_image = Some(n);
                }
                return ask;
            }
            Event::SourceImage { whole } => self.framed(whole),
            Event::Classified { slot, probabilities } if self.slot() != Some(slot) => {
                if let Some(side) = self.sides.loaded.get_mut(&slot) {
                    side.clean = probabilities;
                    side.attack = Attack::default();
                }
                return self.go_on();
            }
            Event::Classified { probabilities, .. } => {
                // Two backends differ in the last digits: what one found may stay in view while the other starts.
                let same = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3;
                if probabilities.len() != self.clean.len() || !probabilities.iter().zip(&self.clean).all(same) {
                    self.forget_attack();
                }
                self.clean = probabilities;
                // A square on its way starts no attack.
                return self.soon(if self.frame.is_some() { PAUSE } else { 0 });
            }
            Event::AttackProgress { id, done, total, result, traces } if id == self.attack.id => {
                // Settings may have changed since: then the next attack is due already.
                if self.attack.phase != Phase::Soon {
                    self.attack.phase = Phase::Running { done, total };
                }
                (self.attack.result, self.attack.traces) = (Some(result), traces);
            }
            Event::AttackDone { id, stopped, milliseconds, result, traces, flags, transfer } => {
                let steps = traces.iter().map(|trace| trace.steps).sum();
                let side = self.sides.attack(id);
                if let Some(attack) = if id == self.attack.id { Some(&mut self.attack) } else { side } {
                    if attack.phase != Phase::Soon {
                        attack.phase = Phase::Done { steps, milliseconds, stopped };
                    }
                    (attack.result, attack.traces) = (Some(result), traces);
                    (attack.flags, attack.transfer) = (flags, Vec::new());
                }
                for Transfer { under, judge, probabilities } in transfer {
                    if let Some(attack) = self.attack_under(under) {
                        attack.transfer.retain(|(other, _)| *other != judge);
                        attack.transfer.push((judge, probabilities));
                    }
                }
                return self.go_on();
            }
            Event::Evaluated { id, report, over, stopped } => {
                if let Some(tasks) = self.hear_judged(id, &report, over, stopped) {
                    return tasks;
                }
                let Some(many) = self.many.as_mut().filter(|many| many.id == id) else { return self.go_on() };
                (many.report, many.running, many.stopped) = (Some(report), !over, stopped);
                return if over { self.attack_again() } else { Vec::new() };
            }
            Event::Explored { id, answer, over, .. } => return self.hear_answer(id, answer, over),
            Event::ProbeCancelled { id } => return self.hear_nothing(id),
            Event::Failed { subject: ErrorScope::Device, text } => return self.crashed(kind, &text),
            Event::Failed { subject, text } => return self.refused(subject, text),
            Event::Verified { checks, milliseconds } => {
                if let Some(check) = &mut self.check {
                    (check.groups, check.milliseconds) = (checks, milliseconds);
                }
            }
            Event::Saved { name, png, probabilities, fools } => {
                // Once the next attack is due it says nothing about what is in view.
                self.saved = (!self.busy()).then(|| Saved { name: name.clone(), probabilities, fools });
                return vec![Task::Download(name, png)];
            }
            Event::Data { data } => return self.hear_data(data),
            Event::RunReady { run } => return self.hear_prepared(*run),
            Event::TrainProgress { id, step, records, look, speed, memory, over } => {
                return self.hear_trained((id, over), step, records, look, [speed, memory as f64]);
            }
            Event::Exported { number, purpose, name, step, bytes } => {
                return self.hear_exported((number, step), purpose, name, bytes);
            }
            Event::DeviceReady { .. } | Event::AttackProgress { .. } => {}
        }
        Vec::new()
    }

    /// Something could not be had: say why, go on with what there is.
    pub(super) fn refused(&mut self, subject: ErrorScope, text: String) -> Vec<Task> {
        let mut tasks = Vec::new();
        match subject {
            ErrorScope::Model | ErrorScope::Evaluation if self.training.judging.is_some() => {
                self.notice(text);
                return self.judge_refused();
            }
            ErrorScope::Export | ErrorScope::Training if self.training.judge_waits() => {
                self.notice(text);
                return self.judge_refused();
            }
            ErrorScope::Diverged => return self.hear_diverged(text),
            ErrorScope::Model if self.model_wanted == self.model_in_use && self.sides.give_up() => {}
            ErrorScope::Model if self.left.is_some() => {
                self.notice(text);
                return self.go_back();
            }
            ErrorScope::Model => {
                self.model_wanted = self.model_in_use;
                if let Some(Source::Ours(model)) = self.model_in_use {
                    self.link.model = model;
                }
            }
            ErrorScope::Image => {
                self.drop_unreadable();
                self.image_wanted = self.image_in_use;
                if let Some(Source::Ours(sample)) = self.image_in_use {
                    self.link.sample = sample;
                }
            }
            ErrorScope::Attack => match self.sides.running() {
                Some(attack) => attack.phase = Phase::Done { steps: 0, milliseconds: 0.0, stopped: false },
                None => self.attack.phase = Phase::Idle,
            },
            ErrorScope::Evaluation => {
                self.many = None;
                self.notice(text);
                return self.attack_again();
            }
            ErrorScope::Fixture => self.check = None,
            ErrorScope::Data => self.training.data_coming = None,
            ErrorScope::Training => tasks = self.training_refused(),
            ErrorScope::Device | ErrorScope::Export | ErrorScope::Reference => {}
        }
        self.notice(text);
        tasks.extend(self.go_on());
        tasks
    }
}
