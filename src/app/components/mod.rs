//! The Leptos components, one folder a section of the page.

pub mod attack;
pub mod common;
pub mod explorer;
pub mod layout;
pub mod picker;
pub mod training;
