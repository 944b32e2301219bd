//! OTJR: adversarially robust image classifiers, natively and in the browser.
//!
//! The library trains classifiers, attacks them and evaluates them. It implements Optimal Transport with Jacobian
//! Regularization (<https://arxiv.org/abs/2303.11793>). ARCHITECTURE.md describes the design.
//!
//! # Modules
//!
//! A module imports only modules of earlier lines.
//!
//! - [`platform`], [`random`], [`settings`], [`prediction`]: devices and threads, seeded random streams, named settings, ties
//! - [`kernel`]: operations for CPU and GPU
//! - [`data`], [`batch`]: data sets, and images on a device
//! - [`model`], [`checkpoint`], [`pytorch`]: networks and their files
//! - [`loss`]: training objectives
//! - [`attack`]: adversarial attacks
//! - [`evaluate`], [`explore`], [`train`]: evaluation, analysis of the representation, training
//! - [`verify`]: comparison with PyTorch
//! - [`protocol`], [`session`], [`app`]: messages between page and worker, worker, page
//!
//! # Invariants
//!
//! - Pixels are in [0,1] and epsilon has the same unit. Attacks run in inference mode and do not change the model.
//! - Random numbers are drawn on the host from a stream named by seed, purpose and index. They are equal on all backends.
//! - Only [`platform`] accesses the clock and the DOM. Only [`data::cifar::open`] and [`data::folder::open`] open files.
//! - All reads from a device are async. The core does not panic on invalid input.
//!
//! # Notation
//!
//! | paper | code |
//! |---|---|
//! | z = f(x), clean logits `[B, C]` | `z` |
//! | a = f(x~), adversarial logits `[B, C]` | `a` |
//! | theta_k, K projections `[C, K]` | `theta`, [`loss::objective::Directions`] |
//! | L_SW, m_i | [`loss::sliced_wasserstein::Transport`] |
//! | R | [`loss::jacobian::penalty`] |

pub mod app;
pub mod attack;
pub mod batch;
pub mod checkpoint;
pub mod data;
pub mod evaluate;
pub mod explore;
pub mod kernel;
pub mod loss;
pub mod model;
pub mod platform;
pub mod prediction;
pub mod protocol;
pub mod pytorch;
pub mod random;
pub mod session;
pub mod settings;
pub mod train;
pub mod verify;
#[cfg(any(feature = "cpu", feature = "gpu"))]
pub mod worker;
