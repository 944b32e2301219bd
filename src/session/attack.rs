//! Attacks on the current image and on many test images.

use super::{
    CommandError, Session, attack_failed,
    models::LoadedModel,
    probe::LastAttack,
    progress::{AttackObserver, EvaluationReporter, JobReporter},
};
use crate::{
    attack::{
        self, Attack, AttackBatch, AttackConfig, AttackKind, AttackOutcome, Goal,
        any::{NamedAttack, build_attacks},
        autoattack::{self, Flag},
    },
    data::synthetic,
    evaluate::Evaluation,
    platform,
    prediction::top,
    protocol::{ErrorScope, Event, SettingPairs, Slot, Transfer},
    settings::Settings,
};

/// Images of an evaluation that are attacked at once. The batch is small, so that the page often receives results.
const EVALUATION_BATCH: usize = 16;

/// A model, and the attacks that the settings of a command select.
struct AttackPlan<'a> {
    loaded: &'a LoadedModel,
    config: AttackConfig,
    attacks: Vec<NamedAttack>,
}

fn attack_error(problem: impl std::fmt::Display) -> CommandError {
    CommandError::new(ErrorScope::Attack, problem)
}

/// Returns the outcome with the lower margin, and the smaller of both distances.
fn worse(a: AttackOutcome, b: AttackOutcome) -> AttackOutcome {
    let distance = a.distance.into_iter().chain(b.distance).reduce(f32::min);
    let worse = if a.margin <= b.margin { a } else { b };
    AttackOutcome { distance, ..worse }
}

impl Session {
    fn plan_attack(
        &self,
        slot: Slot,
        settings: &SettingPairs,
        scope: ErrorScope,
    ) -> Result<AttackPlan<'_>, CommandError> {
        let config = AttackConfig::from_pairs(settings).map_err(|e| CommandError::new(scope, e))?;
        let loaded = self.models.get(&slot).ok_or_else(|| CommandError::new(scope, "load a model first"))?;
        let attacks = build_attacks(&config, loaded.model.classes).map_err(|e| CommandError::new(scope, e))?;
        Ok(AttackPlan { loaded, config, attacks })
    }

    /// Attacks the current image. Several attacks run one after another until one succeeds.
    pub(super) async fn attack(
        &mut self,
        id: u64,
        slot: Slot,
        settings: &SettingPairs,
        target: Option<usize>,
    ) -> Result<(), CommandError> {
        let start = platform::milliseconds();
        let AttackPlan { loaded, config, attacks } = self.plan_attack(slot, settings, ErrorScope::Attack)?;
        let model = &loaded.model;
        let x = self.image.as_ref().ok_or_else(|| attack_error("load an image first"))?.to_unit_range();
        let oracle = self.oracle(model, 1)?;
        // The attack's own oracle counts only the queries of the attack.
        let display_oracle = self.oracle(model, 1)?;
        let logits = display_oracle.logits(&x).await.map_err(attack_failed)?;
        let goal = match target {
            Some(class) if class < model.classes => Goal::Targeted(class),
            Some(class) => return Err(attack_error(format_args!("the model has no class number {class}"))),
            // An untargeted attack starts from the predicted class, whether or not it is the true one.
            None => Goal::Untargeted(top(logits.row(0))),
        };
        let clean_margin = goal.margin(logits.row(0));
        let mut flags = autoattack::left_out(config.attack, model.classes);
        if config.attack.is_suite() {
            flags.extend(autoattack::check_outputs(&display_oracle, &x).await.map_err(attack_failed)?);
        }
        let batch = AttackBatch { images: x, goals: vec![goal], image_ids: vec![0] };
        for named in &attacks {
            named.attack.check_supported(model.classes, &batch.goals).map_err(attack_error)?;
        }
        let reporter = JobReporter::new(id, self);
        let mut observer = AttackObserver::new(reporter, &oracle, display_oracle, &batch);
        let mut worst: Option<AttackOutcome> = None;
        for named in &attacks {
            observer.start_attack(named.name, clean_margin);
            let outcomes = named.attack.run(&oracle, &batch, &mut observer).await.map_err(attack_failed)?;
            let outcome = outcomes.into_iter().next().ok_or_else(|| attack_error("there is no image"))?;
            observer.finish_attack(&outcome);
            let so_far = match worst {
                Some(earlier) => worse(earlier, outcome),
                None => outcome,
            };
            let succeeded = so_far.succeeded();
            worst = Some(so_far);
            if observer.reporter.cancelled || succeeded {
                break;
            }
        }
        if oracle.zero_gradients() > 0 {
            flags.push(Flag::ZeroGradients(oracle.zero_gradients()));
        }
        let worst = worst.ok_or_else(|| attack_error("no attack supports this model"))?;
        let result = observer.result(&worst).await?;
        let (stopped, traces, path) = (observer.reporter.cancelled, observer.traces, observer.path);
        let flags = flags.iter().map(ToString::to_string).collect();
        let transfer = self.transfer(slot, &result.pixels).await.map_err(attack_failed)?;
        let milliseconds = platform::milliseconds() - start;
        self.emit(Event::AttackDone { id, stopped, milliseconds, result, traces, flags, transfer });
        if let Some(loaded) = self.models.get_mut(&slot) {
            loaded.last_attack = Some(LastAttack { config, goal, x_adv: worst.x, path });
        }
        Ok(())
    }

    /// Returns the predictions of the other models for this model's adversarial image, and of this model for theirs.
    async fn transfer(&self, slot: Slot, x_adv: &[f32]) -> Result<Vec<Transfer>, attack::Error> {
        let others = || self.models.iter().filter(move |(other, _)| **other != slot && **other != Slot::Run);
        let mut transfers = Vec::new();
        for (&other, loaded) in others() {
            let probabilities = self.probabilities(&loaded.model, x_adv).await?;
            transfers.push(Transfer { source: slot, evaluated_on: other, probabilities });
        }
        for (&other, loaded) in others() {
            if let Some(attack) = &loaded.last_attack {
                let probabilities = self.probabilities(&self.models[&slot].model, &attack.x_adv).await?;
                transfers.push(Transfer { source: other, evaluated_on: slot, probabilities });
            }
        }
        Ok(transfers)
    }

    /// Attacks test images and reports the robust accuracy. The images are those of the uploaded data set if its classes match
    /// the model's, and otherwise those of the built-in data set.
    pub(super) async fn evaluate(
        &self,
        id: u64,
        slot: Slot,
        settings: &SettingPairs,
        images: usize,
    ) -> Result<(), CommandError> {
        let evaluation_error = |e: &dyn std::fmt::Display| CommandError::new(ErrorScope::Evaluation, e);
        let AttackPlan { loaded, config, attacks } = self.plan_attack(slot, settings, ErrorScope::Evaluation)?;
        let (model, classes) = (&loaded.model, &loaded.info.classes);
        // A model trained with labeled images may have additional classes after those of the data set.
        let uploaded = self.user_dataset.as_ref().filter(|set| classes.starts_with(&set.splits.test.classes));
        let test_images = match uploaded {
            Some(dataset) => dataset.splits.test.stratified_sample(images),
            None => synthetic::generate(0, 0, images).test,
        };
        if !classes.starts_with(&test_images.classes) {
            return Err(evaluation_error(&format_args!(
                "the built-in data set has the classes {}; this model has other classes, so attack single images instead",
                test_images.classes.join(", ")
            )));
        }
        let evaluation = Evaluation {
            images: &test_images,
            attacks: &attacks,
            target: None,
            seed: config.seed,
            batch: EVALUATION_BATCH,
            flags: autoattack::left_out(config.attack, model.classes),
            may_be_random: config.attack == AttackKind::AutoattackRand,
        };
        let device = self.device()?;
        let failed = |error: attack::Error| match error {
            attack::Error::Device(_) => attack_failed(error),
            error => evaluation_error(&error),
        };
        let mut state = evaluation.begin(model, device).await.map_err(failed)?;
        let mut observer = EvaluationReporter(JobReporter::new(id, self));
        evaluation.run(model, model, device, &mut state, &mut observer).await.map_err(failed)?;
        let stopped = observer.0.cancelled;
        self.emit(Event::EvaluationProgress { id, report: state.report(1.0), finished: true, stopped });
        Ok(())
    }
}
