//! Settings of an attack. Doc comments inside `choices!` and `settings!` are user-visible help.

use super::Loss;
use crate::settings::{Pixels, choices, settings};

// The doc comments of settings!/choices! are user-visible: CLI help and labels of the page.
choices! {
    /// Norm of a perturbation.
    pub enum Norm {
        /// Largest change of any pixel value.
        Linf = "linf",
        /// Euclidean norm of the perturbation.
        L2 = "l2",
        /// Sum of the absolute changes.
        L1 = "l1",
    }
}

// The doc comments of settings!/choices! are user-visible: CLI help and labels of the page.
choices! {
    /// The attacks.
    pub enum AttackKind {
        /// One signed gradient step of size epsilon (Goodfellow et al., 2015).
        Fgsm = "fgsm",
        /// Iterated FGSM without a random start (Kurakin et al., 2017).
        Bim = "bim",
        /// Projected gradient descent from a random start (Madry et al., 2018).
        Pgd = "pgd",
        /// Iterated FGSM with momentum (Dong et al., 2018).
        MiFgsm = "mi-fgsm",
        /// Auto-PGD (adaptive step size) on the cross-entropy (Croce and Hein, 2020).
        ApgdCe = "apgd-ce",
        /// Auto-PGD on the scale-invariant difference of logits ratio (Croce and Hein, 2020).
        ApgdDlr = "apgd-dlr",
        /// Targeted Auto-PGD on the most likely wrong classes (Croce and Hein, 2020).
        ApgdT = "apgd-t",
        /// Fast adaptive boundary attack: minimal perturbations (Croce and Hein, 2020b).
        Fab = "fab",
        /// Targeted FAB on the most likely wrong classes (Croce and Hein, 2020b).
        FabT = "fab-t",
        /// Random search with squares; black-box (Andriushchenko et al., 2020).
        Square = "square",
        /// Minimal L2 perturbation by optimization (Carlini and Wagner, 2017).
        Cw = "cw",
        /// Steps to the nearest linearized boundary (Moosavi-Dezfooli et al., 2016).
        Deepfool = "deepfool",
        /// Random search over single pixel values; black-box (Guo et al., 2019).
        Simba = "simba",
        /// apgd-ce, apgd-t, fab-t and square with the published parameters (Croce and Hein, 2020).
        Autoattack = "autoattack",
        /// AutoAttack with six attacks and more restarts (AutoAttack+).
        AutoattackPlus = "autoattack-plus",
        /// AutoAttack for randomized models: each gradient is averaged over 20 samples.
        AutoattackRand = "autoattack-rand",
    }
}

impl AttackKind {
    /// Returns whether it consists of several attacks.
    pub fn is_suite(self) -> bool {
        matches!(self, Self::Autoattack | Self::AutoattackPlus | Self::AutoattackRand)
    }

    /// Returns whether the attack uses the setting `key`.
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

// The doc comments of settings!/choices! are user-visible: CLI help and labels of the page.
choices! {
    /// Loss that gradient attacks maximize.
    pub enum AttackLoss {
        /// Cross-entropy.
        Ce = "ce",
        /// Difference of the two logits (Carlini-Wagner loss).
        Margin = "margin",
        /// Difference of logits ratio, independent of the scale of the logits.
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

// The doc comments of settings!/choices! are user-visible: CLI help and labels of the page.
choices! {
    /// Step size schedule of an attack.
    pub enum StepSchedule {
        /// Constant step size.
        Constant = "constant",
        /// Linear decay to 0.
        Linear = "linear",
        /// Cosine decay to 0.
        Cosine = "cosine",
    }
}

// The doc comments of settings!/choices! are user-visible: CLI help and labels of the page.
settings! {
    /// Configuration of an evaluation attack; [`AttackConfig::of`] returns the usual parameters of each.
    pub struct AttackConfig {
        /// Attack
        attack: AttackKind = AttackKind::Pgd;
        /// Norm of the perturbation: linf (largest change), l2 (Euclidean) or l1 (sum of changes)
        norm: Norm = Norm::Linf;
        /// Maximum perturbation, pixels in [0,1]; fractions such as 8/255 are accepted
        epsilon: Pixels = Pixels(8.0 / 255.0), symbol "ε", in [0.0, 3072.0];
        /// Step size, in the unit of epsilon
        step: Pixels = Pixels(2.0 / 255.0), symbol "α", in [0.0, 3072.0];
        /// Step size schedule
        step_schedule: StepSchedule = StepSchedule::Constant;
        /// Iterations per restart
        steps: usize = 20, in [1.0, 10000.0];
        /// Number of restarts; the worst result of each image counts
        restarts: usize = 1, in [1.0, 1000.0];
        /// Start at a random point in the ball instead of the image
        random_start: bool = true;
        /// Loss to maximize: ce (cross-entropy), margin (difference of logits) or dlr (difference of logits ratio)
        loss: AttackLoss = AttackLoss::Ce;
        /// Number of target classes (most likely first)
        targets: usize = 9, in [1.0, 1000.0];
        /// Gradients averaged per step (EOT, for randomized models)
        samples: usize = 1, in [1.0, 1000.0];
        /// Number of random proposals (square, simba)
        queries: usize = 5000, in [1.0, 1000000.0];
        /// Initial fraction of pixels per square (p_init)
        share: f32 = 0.8, symbol "p", in [0.0, 1.0];
        /// Confidence: required logit margin beyond the decision boundary
        confidence: f32 = 0.0, symbol "κ", in [0.0, 1000.0];
        /// Stop on each image at the first success
        early_stop: bool = false;
        /// Random seed
        seed: u64 = 0;
    }
}

impl AttackConfig {
    /// Returns an attack with its usual parameters. Carlini-Wagner ignores `norm`: it supports L2 only.
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

    /// Returns the attack with another epsilon and a step size of epsilon / 4. SimBA keeps a step size of 0.2.
    pub fn within(self, epsilon: Pixels) -> Self {
        let step = if self.attack == AttackKind::Simba { 0.2 } else { epsilon.0 / 4.0 };
        Self { epsilon, step: Pixels(step), ..self }
    }
}
