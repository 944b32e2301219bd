//! Objectives of training and their coefficients.

use crate::settings::{Pixels, choices, settings};

choices! {
    /// What training minimizes.
    pub enum Objective {
        /// The cross-entropy of clean images: no defence.
        Ce = "ce",
        /// The cross-entropy of adversarial images (Madry et al., 2018).
        Pgd = "pgd",
        /// Clean images, and attacked ones kept near them by their divergence (Zhang et al., 2019).
        Trades = "trades",
        /// Both, their logits paired (Kannan et al., 2018).
        Alp = "alp",
        /// Adversarial images, their logits brought to clean ones by regularized optimal transport.
        Sinkhorn = "sinkhorn",
        /// Adversarial images, their logits brought to clean ones by optimal transport along random lines.
        Sw = "sw",
        /// Clean images, their logits made to react little to pixels along random directions.
        RandJac = "rand_jac",
        /// Clean images, their logits made to react little along the directions of the transport.
        SwJac = "sw_jac",
        /// sw and sw_jac together: the transport, and little reaction along its directions.
        Otjr = "otjr",
    }
}

impl Objective {
    /// Whether it looks at adversarial images.
    pub fn needs_attack(self) -> bool {
        !matches!(self, Self::Ce | Self::RandJac)
    }

    /// Whether it looks at a setting of a [`TrainConfig`].
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

settings! {
    /// Coefficients of the objectives and the attack inside training; the reference's values.
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
        /// Projections of the sliced Wasserstein distance, drawn anew each step
        projections: usize = 32, symbol "K", in [1.0, 4096.0];
        /// Radius of the training attack (L-inf, pixels in [0,1])
        train_epsilon: Pixels = Pixels(0.031), symbol "ε", in [0.0, 1.0];
        /// Step of the training attack
        train_step: Pixels = Pixels(0.007), symbol "α", in [0.0, 1.0];
        /// Steps of the training attack
        train_steps: usize = 10, in [1.0, 1000.0];
        /// Standard deviation of the noise at which the training attack starts
        train_noise: f32 = 0.001, symbol "σ", in [0.0, 1.0];
    }
}
