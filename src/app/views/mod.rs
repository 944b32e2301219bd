//! What the page's plots show: from data to charts and sentences. Pure.

pub mod path;
pub mod show;
