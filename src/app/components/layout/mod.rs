//! The frame of the page: header, notices, tour.

pub mod footer;
pub mod header;
pub mod notices;
pub mod tour_panel;
