//! OTJR
pub mod attack;
pub mod batch;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod evaluate;
pub mod loss;
pub mod model;
pub mod platform;
pub mod protocol;
pub mod random;
pub mod session;
pub mod train;
pub mod verify;
