//! Training objectives and their coefficients. Doc comments inside `choices!` and `settings!` are user-visible help.

use crate::settings::{Pixels, choices, settings};

// The doc comments of settings!/choices! are user-visible: CLI help and labels of the page.
choices! {
    /// Training objective.
    pub enum Objective {
        /// Cross-entropy on clean images (no defense).
        Ce = "ce",
        /// Cross-entropy on adversarial images: adversarial training (Madry et al., 2018).
        Pgd = "pgd",
        /// Clean cross-entropy and KL divergence to adversarial predictions (Zhang et al., 2019).
        Trades = "trades",
        /// Adversarial logit pairing (Kannan et al., 2018).
        Alp = "alp",
        /// Adversarial cross-entropy and Sinkhorn divergence between logits (Bouniot et al., 2021).
        Sinkhorn = "sinkhorn",
        /// Adversarial cross-entropy and sliced Wasserstein distance between logits (OTJR without Jacobian term).
        Sw = "sw",
        /// Clean cross-entropy and Jacobian regularization along random directions (Hoffman et al., 2019).
        RandJac = "rand_jac",
        /// Clean cross-entropy and Jacobian regularization along the transport directions.
        SwJac = "sw_jac",
        /// OTJR: sliced Wasserstein distance and Jacobian regularization along its directions (Le et al., 2023).
        Otjr = "otjr",
    }
}

impl Objective {
    /// Returns whether the objective uses adversarial images.
    pub fn needs_attack(self) -> bool {
        !matches!(self, Self::Ce | Self::RandJac)
    }

    /// Returns whether the objective uses the training setting `key`.
    pub fn uses(self, key: &str) -> bool {
        match key {
            "lambda-sw" | "projections" => {
                matches!(self, Self::Sw | Self::Otjr) || key == "projections" && self == Self::SwJac
            }
            "lambda-jac" => matches!(self, Self::RandJac | Self::SwJac | Self::Otjr),
            "beta-trades" => self == Self::Trades,
            "beta-alp" => self == Self::Alp,
            "lambda-sinkhorn" => self == Self::Sinkhorn,
            "train-epsilon" | "train-step" | "train-steps" | "train-noise" => self.needs_attack(),
            _ => true,
        }
    }
}

// The doc comments of settings!/choices! are user-visible: CLI help and labels of the page.
settings! {
    /// Coefficients of the objectives and of the training attack. The defaults are those of the reference implementation.
    pub struct ObjectiveConfig {
        /// Weight of the sliced Wasserstein distance (sw, otjr)
        lambda_sw: f32 = 64.0, symbol "λ_SW", in [0.0, 1e6];
        /// Weight of the Jacobian penalty (rand_jac, sw_jac, otjr)
        lambda_jac: f32 = 0.005, symbol "λ_R", in [0.0, 1e6];
        /// Weight of the KL divergence (trades)
        beta_trades: f32 = 6.0, symbol "β", in [0.0, 1e6];
        /// Weight of logit pairing (alp)
        beta_alp: f32 = 0.5, symbol "β", in [0.0, 1e6];
        /// Weight of the Sinkhorn divergence (sinkhorn)
        lambda_sinkhorn: f32 = 1.0, symbol "λ_S", in [0.0, 1e6];
        /// Number of random projections of the sliced Wasserstein distance per step
        projections: usize = 32, symbol "K", in [1.0, 4096.0];
        /// Epsilon of the training attack (L-inf, pixels in [0,1])
        train_epsilon: Pixels = Pixels(0.031), symbol "ε", in [0.0, 1.0];
        /// Step size of the training attack
        train_step: Pixels = Pixels(0.007), symbol "α", in [0.0, 1.0];
        /// Iterations of the training attack
        train_steps: usize = 10, in [1.0, 1000.0];
        /// Standard deviation of the initial noise of the training attack
        train_noise: f32 = 0.001, symbol "σ", in [0.0, 1.0];
    }
}
