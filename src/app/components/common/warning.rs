//! A warning about a result.

use leptos::prelude::*;

/// Why an outcome may not be trusted.
pub fn warning(text: String) -> impl IntoView + use<> {
    view! { <p class="flag"><strong>"Do not trust this number as it stands. "</strong>{text}"."</p> }
}
