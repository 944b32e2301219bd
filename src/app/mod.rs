//! The page, in layers. A module may import from the layers above it in this list, never from one below; `browser` and `present`
//! do not import from each other. `tests/layers` checks this.
//!
//! - `domain`: plain types and text helpers, `chart`: charts as data, SVG and CSV.
//! - `state`: the structs that the page consists of, and read-only queries.
//! - `update`: the reducers; `State::apply` takes a message and returns the effects to run.
//! - `present`: sentences, tables and figures from the state. `browser`: thin wrappers of web APIs.
//! - `runtime`: the application context, and the code that runs effects.
//! - `components`, `page`: what is rendered.
//!
//! The page does not contain burn: all computing happens in a worker (`browser::worker_client` here, `src/worker.rs` there), so
//! the page is small and never blocks. All layers above `browser` also compile natively and are tested there.

pub mod chart;
pub mod domain;
pub mod present;
pub mod state;
pub mod update;

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(target_arch = "wasm32")]
mod components;
#[cfg(target_arch = "wasm32")]
pub mod page;
#[cfg(target_arch = "wasm32")]
mod runtime;
