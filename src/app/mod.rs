//! The page. `state` is what it knows; `intents` and `wishes` are what the user wants, `hear` is what the worker says, and
//! `message`, `workers`, `sides`, `explore`, `training`, `run`, `runs`, `own`, `frame`, `rewind` and `saved` are parts of both. With
//! `compare`, `link`, `photos`, `knobs`, `dropped`, `reading`, `scale`, `pixels`, `tour`, `chart` and `views` these are plain
//! functions, tested natively; the rest shows them in a browser: `desk` holds the state, `carry` does what it decides, `page` lays
//! out the views, `kept` is what it keeps there.
//!
//! The page knows nothing of burn: all computing happens in a worker (`worker_client` here, `crate::worker` there), so
//! that the page is small and never blocks.

pub mod chart;
pub mod compare;
pub mod dropped;
pub mod explore;
pub mod frame;
pub mod hear;
pub mod intents;
pub mod knobs;
pub mod link;
pub mod message;
pub mod own;
pub mod photos;
pub mod pixels;
pub mod reading;
pub mod rewind;
pub mod run;
pub mod runs;
pub mod saved;
pub mod scale;
pub mod sides;
pub mod state;
pub mod tour;
pub mod training;
pub mod views;
pub mod wishes;
pub mod workers;

#[cfg(target_arch = "wasm32")]
mod address;
#[cfg(target_arch = "wasm32")]
mod beside;
#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(target_arch = "wasm32")]
mod camera;
#[cfg(target_arch = "wasm32")]
mod carry;
#[cfg(target_arch = "wasm32")]
mod check;
#[cfg(target_arch = "wasm32")]
mod controls;
#[cfg(target_arch = "wasm32")]
mod desk;
#[cfg(target_arch = "wasm32")]
mod framing;
#[cfg(target_arch = "wasm32")]
mod gallery;
#[cfg(target_arch = "wasm32")]
mod guide;
#[cfg(target_arch = "wasm32")]
mod images;
#[cfg(target_arch = "wasm32")]
mod intake;
#[cfg(target_arch = "wasm32")]
mod kept;
#[cfg(target_arch = "wasm32")]
mod many;
#[cfg(target_arch = "wasm32")]
mod material;
#[cfg(target_arch = "wasm32")]
mod notices;
#[cfg(target_arch = "wasm32")]
mod offline;
#[cfg(target_arch = "wasm32")]
pub mod page;
#[cfg(target_arch = "wasm32")]
mod panel;
#[cfg(target_arch = "wasm32")]
mod path;
#[cfg(target_arch = "wasm32")]
mod plot;
#[cfg(target_arch = "wasm32")]
mod probabilities;
#[cfg(target_arch = "wasm32")]
mod progress;
#[cfg(target_arch = "wasm32")]
mod race;
#[cfg(target_arch = "wasm32")]
mod trainer;
#[cfg(target_arch = "wasm32")]
mod tray;
#[cfg(target_arch = "wasm32")]
mod worker_client;
