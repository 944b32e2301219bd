//! Notices to the user.

use crate::app::{
    domain::format::sentence,
    state::{State, notice::Notice},
};

impl State {
    /// Adds a notice, and removes an earlier one with the same text. Error messages of the core become sentences; they are
    /// not capitalized if they start with the name of a file or a setting.
    pub(crate) fn notify(&mut self, text: String) {
        let first_word = text.split(' ').next().unwrap_or_default();
        let mut text = if first_word.chars().all(char::is_alphabetic) { sentence(&text) } else { text };
        if !text.ends_with(['.', '!', '?']) {
            text.push('.');
        }
        self.notices.retain(|notice| notice.text != text);
        self.last_notice_id += 1;
        self.notices.push(Notice { id: self.last_notice_id, text });
    }
}
