//! Training objectives ([`objective`]) and their terms, which are functions of logits.
//!
//! Symbols are the paper's: z = f(x) clean logits, a = f(x~) adversarial logits, both `[B, C]`; y one-hot labels
//! `[B, C]`; theta projections `[C, K]`; v directions of the Jacobian `[B, C]`.

mod config;
pub mod cross_entropy;
pub mod jacobian;
pub mod objective;
pub mod sinkhorn;
pub mod sliced_wasserstein;

pub use config::{Objective, ObjectiveConfig};
