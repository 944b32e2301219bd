//! The result of the backend check against a PyTorch fixture.

use leptos::prelude::*;

use crate::{
    app::{browser::dom, domain::action::UserAction, runtime::context::AppContext, state::backend_check::BackendCheck},
    verify,
};

#[component]
pub fn BackendCheckTable() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let check = Memo::new(move |_| ctx.state.with(|s| s.backend_check.clone()));
    move || {
        check.get().map(|check| {
            let worst = worst(&check).map(|error| error.to_string());
            let summary = summary(&check);
            view! {
                <section class="check" id="check" aria-labelledby="check-title" data-worst=worst>
                    <h2 id="check-title">"This browser's arithmetic against PyTorch"</h2>
                    <p class="fine" role="status">{summary}</p>
                    {table(check.groups)}
                    <button on:click=move |_| {
                        ctx.dispatch(UserAction::CloseCheck);
                        dom::focus_first(&["#verdict"]);
                    }>"Close"</button>
                </section>
            }
        })
    }
}

/// The largest error; a NaN is larger than any.
fn worst(check: &BackendCheck) -> Option<f64> {
    check.groups.iter().map(|g| g.error).reduce(|a, b| if a >= b { a } else { b })
}

fn summary(check: &BackendCheck) -> String {
    match worst(check) {
        None => "Checking: values, gradients and losses of the fixture's network are computed again.".into(),
        Some(worst) => {
            let passed = check.groups.iter().filter(|g| g.passed()).count();
            let (all, seconds) = (check.groups.len(), check.milliseconds / 1e3);
            let tolerance = verify::TOLERANCE;
            format!(
                "{passed} of {all} groups are within {tolerance:e} of the reference, the worst at {worst:.1e}; {seconds:.1} s."
            )
        }
    }
}

fn table(groups: Vec<verify::GroupCheck>) -> impl IntoView {
    let none = groups.is_empty();
    let row = |g: verify::GroupCheck| {
        view! {
            <tr data-group=g.group.clone() data-error=g.error.to_string()>
                <th scope="row">{g.group.clone()}</th>
                <td>{format!("{:.1e}", g.error)}</td>
                <td>{if g.passed() { "passed" } else { "failed" }}</td>
            </tr>
        }
    };
    view! {
        <table hidden=none>
            <thead><tr><th scope="col">"Group"</th><th scope="col">"Largest error"</th><th scope="col">"Verdict"</th></tr></thead>
            <tbody>{groups.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}
