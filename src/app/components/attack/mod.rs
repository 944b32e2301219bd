//! The attack section: images, settings, results.

pub mod attack_settings;
pub mod attack_trace;
pub mod backend_check;
pub mod batch_attack;
pub mod class_probabilities;
pub mod comparison_table;
pub mod images;
pub mod progress;
pub mod verdict;
