//! OTJR: classifiers that withstand adversarial images, trained and explored natively and in the browser.
//!
//! # The map
//!
//! From a main file to the loss: `native/train/main.rs` -> [`train::Trainer::step`] -> [`loss::objective::evaluate`].
//!
//! ```text
//! bytes (file | drop | fetch) -> data -> Batch --+
//! config (command line | URL) -------------------+--> train, attack, evaluate --> records, events
//! Command (page) -> session ---------------------+                                  |        |
//!                                                              terminal, files <----+        +----> app::State -> view
//! ```
//!
//! - [`data`]: bytes to images, and to corrupted ones; [`batch`]: images on a device.
//! - [`model`]: networks; every layer takes a value and, if asked for, its tangent ([`model::dual`]); [`model::cost`]: what
//!   going through one takes.
//! - [`kernel`]: convolution, normalization and steps of descent; kernels of our own for the CPU and in WGSL for the GPU, as
//!   operations of burn's with their own backward, and the layout of feature maps.
//! - [`prediction`]: which class logits name, ties included.
//! - [`loss`]: one term a file; [`loss::objective`] adds them up. [`attack`]: one family of attacks a file.
//! - [`explore`]: what the page shows of a representation: layers, embedding, transport, Jacobian, landscape.
//! - [`train`], [`evaluate`], [`verify`]: what the programs do. [`checkpoint`]: their files;
//!   [`pytorch`]: PyTorch's, whose names [`model::names`] tells apart.
//! - [`settings`]: every setting, said once, for command line, page and URL.
//! - [`protocol`], [`session`]: page and worker. [`app`]: the page. [`platform`]: terminal or browser.
//!
//! # Invariants
//!
//! - The core touches no DOM and no clock; [`platform`] does. It opens files in [`data::cifar::open`] and
//!   [`data::folder::open`] alone, and takes rayon's threads in [`kernel`] and [`attack::fab`] alone. Every read-back from
//!   a device is async.
//! - Pixels are in [0,1]; attacks run in inference mode and leave the model as it was; epsilon is in pixel units.
//! - Everything random is a function of (seed, purpose, index), drawn on the host: the same on every backend.
//! - Errors are handled once, at the shell, and say what was wrong and what to do. The core does not panic on input.
//!
//! # Symbols
//!
//! | paper | here |
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
