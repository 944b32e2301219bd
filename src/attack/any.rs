//! Builds attacks from an [`AttackConfig`].

use super::{
    Attack, AttackBatch, AttackConfig, AttackKind, AttackOutcome, Classifier, Error, Goal, Loss, ModelOracle, Norm,
    Observer, ThreatModel,
    apgd::{Apgd, ApgdLoss},
    autoattack,
    cw::CarliniWagner,
    deepfool::DeepFool,
    fab::Fab,
    pgd::Pgd,
    simba::SimBa,
    square::Square,
};

/// One of the attacks.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyAttack {
    Pgd(Pgd),
    Apgd(Apgd),
    Fab(Fab),
    Square(Square),
    CarliniWagner(CarliniWagner),
    DeepFool(DeepFool),
    SimBa(SimBa),
}

/// An attack with its name in reports.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedAttack {
    pub name: &'static str,
    pub attack: AnyAttack,
}

/// Builds the attacks of a config, in order: several for AutoAttack, otherwise one. `classes` is the number of classes of
/// the model.
///
/// # Errors
/// If the attack does not support the norm.
pub fn build_attacks(c: &AttackConfig, classes: usize) -> Result<Vec<NamedAttack>, Error> {
    let threat = ThreatModel { norm: c.norm, epsilon: c.epsilon.0 };
    let loss = c.loss.into();
    let targets = c.targets.min(classes.saturating_sub(1));
    let pgd = Pgd {
        threat,
        loss,
        step: c.step.0,
        schedule: c.step_schedule,
        steps: c.steps,
        restarts: 1,
        random_start: false,
        momentum: 0.0,
        early_stop: c.early_stop,
        seed: c.seed,
    };
    let apgd = |loss| {
        AnyAttack::Apgd(Apgd {
            threat,
            loss,
            iterations: c.steps,
            eot_samples: c.samples,
            large_to_small_eps: false,
            seed: c.seed,
        })
    };
    let fab =
        |targets| AnyAttack::Fab(Fab { threat, targets, restarts: c.restarts, iterations: c.steps, seed: c.seed });
    let attack = match c.attack {
        AttackKind::Fgsm => AnyAttack::Pgd(Pgd { loss, early_stop: false, ..Pgd::fgsm(threat) }),
        AttackKind::Bim => AnyAttack::Pgd(pgd),
        AttackKind::MiFgsm => AnyAttack::Pgd(Pgd { momentum: 1.0, ..pgd }),
        AttackKind::Pgd => AnyAttack::Pgd(Pgd { restarts: c.restarts, random_start: c.random_start, ..pgd }),
        AttackKind::ApgdCe => apgd(ApgdLoss::Restarts(Loss::CrossEntropy, c.restarts)),
        AttackKind::ApgdDlr => apgd(ApgdLoss::Restarts(Loss::Dlr, c.restarts)),
        AttackKind::ApgdT => apgd(ApgdLoss::Targets(targets)),
        AttackKind::Fab => fab(None),
        AttackKind::FabT => fab(Some(targets)),
        AttackKind::Square => {
            AnyAttack::Square(Square { threat, queries: c.queries, restarts: c.restarts, share: c.share, seed: c.seed })
        }
        AttackKind::Cw if c.norm != Norm::L2 => {
            return Err(Error::Unsuited("cw measures perturbations in l2: choose the norm l2".into()));
        }
        AttackKind::Cw => AnyAttack::CarliniWagner(CarliniWagner {
            threat,
            steps: c.steps,
            searches: 9,
            rate: 0.01,
            confidence: c.confidence,
        }),
        AttackKind::Deepfool => AnyAttack::DeepFool(DeepFool { threat, steps: c.steps }),
        AttackKind::Simba => AnyAttack::SimBa(SimBa { threat, step: c.step.0, tries: c.queries, seed: c.seed }),
        AttackKind::Autoattack | AttackKind::AutoattackPlus | AttackKind::AutoattackRand => {
            return Ok(autoattack::attacks(c.attack, threat, classes, c.seed));
        }
    };
    Ok(vec![NamedAttack { name: c.attack.name(), attack }])
}

impl AnyAttack {
    /// Checks that the attack supports a model with `classes` classes and these goals.
    ///
    /// # Errors
    /// If the loss needs more classes, or the attack selects its target classes itself.
    pub fn check_supported(&self, classes: usize, goals: &[Goal]) -> Result<(), Error> {
        let goal = goals.iter().copied().find(|goal| matches!(goal, Goal::Targeted(_))).unwrap_or(Goal::Untargeted(0));
        let needs = match self {
            Self::Pgd(pgd) => pgd.loss.needs_classes(goal),
            Self::Apgd(Apgd { loss: ApgdLoss::Restarts(loss, _), .. }) => loss.needs_classes(goal),
            Self::Apgd(_) => Loss::DlrTowards(0).needs_classes(goal),
            _ => 2,
        };
        if classes < needs {
            let instead = if needs > 2 { ": choose the cross-entropy" } else { "" };
            return Err(Error::Unsuited(format!(
                "the loss of this attack needs {needs} classes, the model has {classes}{instead}"
            )));
        }
        let any_class = matches!(
            self,
            Self::Apgd(Apgd { loss: ApgdLoss::Targets(_), .. }) | Self::Fab(Fab { targets: Some(_), .. })
        );
        if any_class && matches!(goal, Goal::Targeted(_)) {
            return Err(Error::Unsuited(
                "this attack selects its target classes itself: leave out the target, or choose pgd, apgd-ce, \
                 apgd-dlr, fab or square"
                    .into(),
            ));
        }
        Ok(())
    }
}

impl Attack for AnyAttack {
    async fn run(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> Result<Vec<AttackOutcome>, Error> {
        match self {
            Self::Pgd(attack) => attack.run(query, task, observer).await,
            Self::Apgd(attack) => attack.run(query, task, observer).await,
            Self::Fab(attack) => attack.run(query, task, observer).await,
            Self::Square(attack) => attack.run(query, task, observer).await,
            Self::CarliniWagner(attack) => attack.run(query, task, observer).await,
            Self::DeepFool(attack) => attack.run(query, task, observer).await,
            Self::SimBa(attack) => attack.run(query, task, observer).await,
        }
    }
}
