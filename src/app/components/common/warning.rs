//! A warning about a result.

use leptos::prelude::*;

/// Shows why a result cannot be trusted.
pub fn warning(reason: String) -> impl IntoView + use<> {
    view! { <p class="flag"><strong>"This result cannot be trusted. "</strong>{reason}"."</p> }
}
