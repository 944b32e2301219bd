//! Components and helpers that several sections share.

pub mod canvas;
pub mod chart_figure;
pub mod file_button;
pub mod saved_list;
pub mod settings_form;
pub mod warning;
