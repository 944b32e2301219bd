//! Settings of an attack.

use super::Loss;
use crate::settings::{Pixels, choices, settings};

choices! {
    /// The size of a perturbation.
    pub enum Norm {
        /// The largest change of a pixel's channel.
        Linf = "linf",
        /// The Euclidean length of the change.
        L2 = "l2",
        /// The sum of all changes.
        L1 = "l1",
    }
}

choices! {
    /// The attacks.
    pub enum AttackKind {
        /// One step of size epsilon (Goodfellow et al., 2015).
        Fgsm = "fgsm",
        /// Steps from the image itself (Kurakin et al., 2017).
        Bim = "bim",
        /// Steps from a random start (Madry et al., 2018).
        Pgd = "pgd",
        /// Steps with momentum (Dong et al., 2018).
        MiFgsm = "mi-fgsm",
        /// Auto-PGD: steps that shorten by themselves, on the cross-entropy (Croce and Hein, 2020).
        ApgdCe = "apgd-ce",
        /// Auto-PGD on the ratio of logit differences, blind to their scale (Croce and Hein, 2020).
        ApgdDlr = "apgd-dlr",
        /// Auto-PGD towards each of the likeliest wrong classes (Croce and Hein, 2020).
        ApgdT = "apgd-t",
        /// Along the decision boundary (Croce and Hein, 2020b).
        Fab = "fab",
        /// Along the boundary to each of the likeliest wrong classes (Croce and Hein, 2020b).
        FabT = "fab-t",
        /// Random squares; asks for outputs only (Andriushchenko et al., 2020).
        Square = "square",
        /// Carlini and Wagner's search for the smallest L2 perturbation (2017).
        Cw = "cw",
        /// To the nearest boundary, straight (Moosavi-Dezfooli et al., 2016).
        Deepfool = "deepfool",
        /// One random pixel after another; asks for outputs only (Guo et al., 2019).
        Simba = "simba",
        /// apgd-ce, apgd-t, fab-t, square, with the published parameters (Croce and Hein, 2020).
        Autoattack = "autoattack",
        /// AutoAttack with six attacks and more restarts.
        AutoattackPlus = "autoattack-plus",
        /// AutoAttack for models that answer at random: each gradient is a mean of 20.
        AutoattackRand = "autoattack-rand",
    }
}

impl AttackKind {
    /// Whether it is several attacks in turn.
    pub fn is_suite(self) -> bool {
        matches!(self, Self::Autoattack | Self::AutoattackPlus | Self::AutoattackRand)
    }

    /// Whether the attack looks at a setting.
    pub fn uses(self, key: &str) -> bool {
        let own: &[&str] = match self {
            Self::Fgsm => &["loss"],
            Self::Bim | Self::MiFgsm => &["step", "step-schedule", "steps", "loss", "early-stop"],
            Self::Pgd => &["step", "step-schedule", "steps", "restarts", "random-start", "loss", "early-stop", "seed"],
            Self::ApgdCe | Self::ApgdDlr => &["steps", "restarts", "samples", "seed"],
            Self::ApgdT => &["steps", "targets", "samples", "seed"],
            Self::Fab => &["steps", "restarts", "seed"],
            Self::FabT => &["steps", "restarts", "targets", "seed"],
            Self::Square => &["restarts", "queries", "share", "seed"],
            Self::Cw => &["steps", "confidence"],
            Self::Deepfool => &["steps"],
            Self::Simba => &["step", "queries", "seed"],
            Self::Autoattack | Self::AutoattackPlus | Self::AutoattackRand => &["seed"],
        };
        match key {
            "attack" | "epsilon" => true,
            "norm" => self != Self::Cw,
            key => own.contains(&key),
        }
    }
}

choices! {
    /// What gradient steps climb.
    pub enum AttackLoss {
        /// The cross-entropy.
        Ce = "ce",
        /// Minus the margin between the two classes in question.
        Margin = "margin",
        /// The same relative to the logits' scale.
        Dlr = "dlr",
    }
}

impl From<AttackLoss> for Loss {
    fn from(loss: AttackLoss) -> Self {
        match loss {
            AttackLoss::Ce => Self::CrossEntropy,
            AttackLoss::Margin => Self::Margin,
            AttackLoss::Dlr => Self::Dlr,
        }
    }
}

choices! {
    /// How the length of an attack's steps goes over a run.
    pub enum StepSchedule {
        Constant = "constant",
        /// Down to 0 linearly.
        Linear = "linear",
        /// Down to 0 along half a cosine.
        Cosine = "cosine",
    }
}

settings! {
    /// An evaluation attack; [`AttackConfig::of`] has each one's usual parameters.
    pub struct AttackConfig {
        /// The attack
        attack: AttackKind = AttackKind::Pgd;
        /// What measures the perturbation: linf, the largest change of any pixel value; l2, the Euclidean length; l1, the sum
        norm: Norm = Norm::Linf;
        /// Largest perturbation allowed, for pixels in [0,1] (a fraction such as 8/255 will do)
        epsilon: Pixels = Pixels(8.0 / 255.0), symbol "ε", in [0.0, 3072.0];
        /// Length of one step, in the same unit
        step: Pixels = Pixels(2.0 / 255.0), symbol "α", in [0.0, 3072.0];
        /// How the length of the steps goes over a run
        step_schedule: StepSchedule = StepSchedule::Constant;
        /// Steps of each run
        steps: usize = 20, in [1.0, 10000.0];
        /// Runs from different random starts; each image keeps its worst
        restarts: usize = 1, in [1.0, 1000.0];
        /// Begin at a random point of the ball rather than at the image
        random_start: bool = true;
        /// What the steps climb: ce, the cross-entropy; margin, the difference of two logits; dlr, the same relative to their scale
        loss: AttackLoss = AttackLoss::Ce;
        /// Likeliest wrong classes to go towards, one after the other
        targets: usize = 9, in [1.0, 1000.0];
        /// Gradients averaged at each point, for models that answer at random
        samples: usize = 1, in [1.0, 1000.0];
        /// Random proposals
        queries: usize = 5000, in [1.0, 1000000.0];
        /// Share of the image that the first squares cover
        share: f32 = 0.8, symbol "p", in [0.0, 1.0];
        /// How far beyond the boundary to go, in logits
        confidence: f32 = 0.0, symbol "κ", in [0.0, 1000.0];
        /// Leave an image as soon as the model is wrong, rather than make it surer of its error
        early_stop: bool = false;
        /// Seed of everything random
        seed: u64 = 0;
    }
}

impl AttackConfig {
    /// An attack with the parameters that are usual for it; `norm` is overruled where it knows only one.
    pub fn of(attack: AttackKind, norm: Norm) -> Self {
        let norm = if attack == AttackKind::Cw { Norm::L2 } else { norm };
        let epsilon = match norm {
            Norm::Linf => 8.0 / 255.0,
            Norm::L2 => 128.0 / 255.0,
            Norm::L1 => 12.0,
        };
        let steps = match attack {
            AttackKind::Bim | AttackKind::MiFgsm => 10,
            AttackKind::Deepfool => 50,
            AttackKind::Cw => 200,
            AttackKind::ApgdCe | AttackKind::ApgdDlr | AttackKind::ApgdT | AttackKind::Fab | AttackKind::FabT => 100,
            _ => 20,
        };
        Self { attack, norm, steps, ..Self::default() }.within(Pixels(epsilon))
    }

    /// The same within another radius. Steps are a quarter of it, but SimBA's, which the ball cuts short.
    pub fn within(self, epsilon: Pixels) -> Self {
        let step = if self.attack == AttackKind::Simba { 0.2 } else { epsilon.0 / 4.0 };
        Self { epsilon, step: Pixels(step), ..self }
    }
}
