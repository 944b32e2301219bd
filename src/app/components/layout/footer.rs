//! The footer: privacy, and what OTJR is.

use leptos::prelude::*;

/// Documents that are served with the page.
const LINKS: [(&str, &str); 4] = [
    ("public/models/README.md", "The models"),
    ("public/study/README.md", "The study"),
    ("public/photos/CREDITS.md", "Photo credits"),
    ("LICENSE.txt", "License (MIT)"),
];

/// The footer of the page.
#[component]
pub fn Footer() -> impl IntoView {
    view! {
        <footer>
            <p>
                "Nothing leaves this machine: images and models are processed in this page only. An image is fetched only if you \
                 give its URL, by a separate part of the page that can do nothing else."
            </p>
            <p id="about">
                "OTJR, Optimal Transport with Jacobian Regularization (Le, Tariq and Woo), is a method of adversarial training. \
                 It adds two loss terms: the sliced Wasserstein distance between adversarial and clean logits, and a penalty on \
                 the input Jacobian along the directions of that transport. The study shows what they achieve here and what \
                 they do not: "
                {LINKS.map(|(href, title)| view! { <a href=href target="_blank">{title}</a>" " })}
            </p>
        </footer>
    }
}
