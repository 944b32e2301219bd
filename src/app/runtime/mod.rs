//! Connects the state to the browser: the application context, opening files, and running effects.

pub mod context;
pub mod effects;
pub mod files;
