//! Turns the state into sentences, tables and figures. Pure functions, tested natively.

pub mod attack_trace;
pub mod backend;
pub mod batch;
pub mod class_probabilities;
pub mod comparison;
pub mod explorer;
pub mod export;
pub mod figures;
pub mod model;
pub mod model_label;
pub mod rewind;
pub mod rgba;
pub mod run_table;
pub mod settings;
pub mod slider_stops;
pub mod training_status;
pub mod verdict;
