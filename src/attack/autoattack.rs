//! AutoAttack: "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks" (Croce and
//! Hein, 2020), and its checks for unreliable evaluations.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    AttackKind, Classifier, Error, Loss, ModelOracle, Norm, ThreatModel,
    any::{AnyAttack, NamedAttack},
    apgd::{Apgd, ApgdLoss},
    fab::Fab,
    square::Square,
};

/// Returns the attacks of a version, with the published parameters. Attacks that need more classes are left out.
pub fn attacks(version: AttackKind, threat: ThreatModel, classes: usize, seed: u64) -> Vec<NamedAttack> {
    let sparse = threat.norm == Norm::L1;
    let rand = version == AttackKind::AutoattackRand;
    let targets = |n: usize| n.min(classes.saturating_sub(1));
    let apgd = |loss| {
        let large_to_small_eps = sparse && version == AttackKind::Autoattack;
        AnyAttack::Apgd(Apgd {
            threat,
            loss,
            iterations: 100,
            eot_samples: if rand { 20 } else { 1 },
            large_to_small_eps,
            seed,
        })
    };
    let fab = |targets, restarts| AnyAttack::Fab(Fab { threat, targets, restarts, iterations: 100, seed });
    let square = AnyAttack::Square(Square { threat, queries: 5000, restarts: 1, share: 0.8, seed });
    let all = match version {
        AttackKind::AutoattackRand => vec![
            ("apgd-ce", apgd(ApgdLoss::Restarts(Loss::CrossEntropy, 1))),
            ("apgd-dlr", apgd(ApgdLoss::Restarts(Loss::Dlr, 1))),
        ],
        AttackKind::AutoattackPlus => vec![
            ("apgd-ce", apgd(ApgdLoss::Restarts(Loss::CrossEntropy, 5))),
            ("apgd-dlr", apgd(ApgdLoss::Restarts(Loss::Dlr, 5))),
            ("fab", fab(None, 5)),
            ("square", square),
            ("apgd-t", apgd(ApgdLoss::Targets(targets(9)))),
            ("fab-t", fab(Some(targets(9)), 1)),
        ],
        _ => vec![
            ("apgd-ce", apgd(ApgdLoss::Restarts(Loss::CrossEntropy, if sparse { 5 } else { 1 }))),
            ("apgd-t", apgd(ApgdLoss::Targets(targets(if sparse { 5 } else { 9 })))),
            ("fab-t", fab(Some(targets(9)), 1)),
            ("square", square),
        ],
    };
    let suited = |(name, attack): (_, AnyAttack)| {
        attack.check_supported(classes, &[]).ok().map(|()| NamedAttack { name, attack })
    };
    all.into_iter().filter_map(suited).collect()
}

/// Returns a flag that names the attacks of a version that need more classes, if there are any.
pub fn left_out(version: AttackKind, classes: usize) -> Vec<Flag> {
    if !version.is_suite() {
        return Vec::new();
    }
    let threat = ThreatModel { norm: Norm::Linf, epsilon: 0.0 };
    let names = |classes| attacks(version, threat, classes, 0).into_iter().map(|stage| stage.name);
    let left: Vec<&str> = names(classes).collect();
    let left_out: Vec<String> = names(10).filter(|name| !left.contains(name)).map(Into::into).collect();
    if left_out.is_empty() { Vec::new() } else { vec![Flag::FewClasses { classes, left_out }] }
}

/// Reason why an evaluation may be unreliable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Flag {
    /// The same image gives different outputs.
    #[serde(rename = "Randomised")]
    Randomized,
    /// The outputs look like probabilities.
    Probabilities,
    /// Number of gradients that were exactly zero at the start of an attack.
    ZeroGradients(usize),
    /// Square succeeded on `fooled` of the `of` images on which the gradient attacks failed.
    SquareAhead {
        #[serde(rename = "felled")]
        fooled: usize,
        of: usize,
    },
    /// Images skipped because the source model already misclassifies them (transfer attacks).
    #[serde(rename = "LeftAlone")]
    Skipped { images: usize, of: usize },
    /// Attacks left out because their loss needs more classes.
    FewClasses { classes: usize, left_out: Vec<String> },
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Randomized => f.write_str(
                "the model is randomized: the same image gives different outputs, so a single gradient is unreliable. Use \
                 autoattack-rand, which averages gradients",
            ),
            Self::Probabilities => f.write_str(
                "the outputs look like probabilities, not logits: their gradients vanish for confident predictions. Attack \
                 the logits",
            ),
            Self::ZeroGradients(n) => write!(
                f,
                "{n} gradient{} exactly zero at the start of an attack: the model may mask its gradients, which makes \
                 gradient attacks too weak",
                if *n == 1 { " was" } else { "s were" }
            ),
            Self::SquareAhead { fooled, of } => write!(
                f,
                "square, a random search, succeeded on {fooled} of {of} images on which the gradient attacks failed: a \
                 sign of masked gradients. Try more queries and restarts, or an adaptive attack"
            ),
            Self::Skipped { images, of } => write!(
                f,
                "{images} of {of} images were skipped because the attacked model already misclassifies them: the robust \
                 accuracy of the evaluation model is overestimated"
            ),
            Self::FewClasses { classes, left_out } => write!(
                f,
                "with {classes} classes the loss of {} is not defined: it was left out, and the evaluation is weaker",
                left_out.join(", ")
            ),
        }
    }
}

/// Maximum distance of the normalized outputs of two forward passes of the same image.
const RANDOM: f32 = 1e-4;
/// Maximum deviation of a sum of probabilities from 1.
const SUM: f32 = 1e-5;
/// Fraction of all images on which square alone may succeed without a flag.
pub const SQUARE_AHEAD: f64 = 0.002;

/// Checks before the attacks whether the model is randomized or returns probabilities.
///
/// # Errors
/// If the model returns NaN or infinity, or the device fails.
pub async fn check_outputs(query: &ModelOracle<'_, impl Classifier>, x: &[f32]) -> Result<Vec<Flag>, Error> {
    let first = query.logits(x).await?;
    let mut flags = Vec::new();
    for _ in 0..4 {
        let again = query.logits(x).await?;
        let moved = first.rows().zip(again.rows()).any(|(a, b)| Norm::L2.distance(&unit(a), &unit(b)) > RANDOM);
        if moved {
            flags.push(Flag::Randomized);
            break;
        }
    }
    let probabilities =
        |z: &[f32]| z.iter().all(|v| (-SUM..1.0 + SUM).contains(v)) && (z.iter().sum::<f32>() - 1.0).abs() < SUM;
    if first.rows().all(probabilities) {
        flags.push(Flag::Probabilities);
    }
    Ok(flags)
}

fn unit(z: &[f32]) -> Vec<f32> {
    super::threat::rescale(z, Norm::L2, 1.0)
}
