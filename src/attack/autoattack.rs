//! AutoAttack (Croce and Hein, 2020): four attacks in turn, each on the images that still stand, without parameters to
//! choose; and the checks that tell when even that is not to be trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    AttackKind, Classifier, Error, Loss, ModelOracle, Norm, ThreatModel,
    any::{AnyAttack, NamedAttack},
    apgd::{Apgd, ApgdLoss},
    fab::Fab,
    square::Square,
};

/// The attacks of a version, with the published parameters; those that the number of classes rules out are left out.
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

/// Says which of a version's attacks a model has too few classes for.
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

/// A reason not to trust an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Flag {
    /// Equal images get different answers.
    #[serde(rename = "Randomised")]
    Randomized,
    /// The outputs look like probabilities.
    Probabilities,
    /// So many gradients were exactly zero at the start of an attack.
    ZeroGradients(usize),
    /// Random search has felled so many images of all that gradients had left.
    SquareAhead { felled: usize, of: usize },
    /// So many images were not attacked: the model attacked, which is not the one that judges, is wrong on them anyway.
    #[serde(rename = "LeftAlone")]
    Skipped { images: usize, of: usize },
    /// These attacks were left out since the model has too few classes for their loss.
    FewClasses { classes: usize, left_out: Vec<String> },
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Randomized => f.write_str(
                "the model answers at random: the same image gets different outputs, so one gradient says little. Use \
                 autoattack-rand, which averages many",
            ),
            Self::Probabilities => f.write_str(
                "the outputs look like probabilities, not logits: their gradients vanish where the model is sure. Attack \
                 the logits",
            ),
            Self::ZeroGradients(n) => write!(
                f,
                "{n} gradient{} exactly zero at the start of an attack: the model may hide its gradients rather than \
                 withstand, and attacks that follow them look weak",
                if *n == 1 { " was" } else { "s were" }
            ),
            Self::SquareAhead { felled, of } => write!(
                f,
                "square, which only guesses, felled {felled} of {of} images that the gradient attacks had left: a sign \
                 of masked gradients. Try more queries and restarts, or an attack made for this model"
            ),
            Self::Skipped { images, of } => write!(
                f,
                "{images} of {of} images were not attacked, since the model attacked is wrong on them anyway: the judge \
                 looks the more robust for it"
            ),
            Self::FewClasses { classes, left_out } => write!(
                f,
                "with {classes} classes the loss of {} is not defined: it was left out, and the evaluation is weaker",
                left_out.join(", ")
            ),
        }
    }
}

/// How far the normalized outputs of one image may differ between two looks.
const RANDOM: f32 = 1e-4;
/// How near to 1 the sum of probabilities is.
const SUM: f32 = 1e-5;
/// The share of all images that square may fell alone.
pub const SQUARE_AHEAD: f64 = 0.002;

/// Looks at a model before the attacks: whether it answers at random, and whether with probabilities.
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
