//! The result of the backend check against a PyTorch fixture.

use leptos::prelude::*;

use crate::{
    app::{browser::dom, domain::action::UserAction, runtime::context::AppContext, state::backend_check::BackendCheck},
    verify,
};

/// The result of the backend check, after the user opened a fixture.
#[component]
pub fn BackendCheckTable() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let check = Memo::new(move |_| ctx.state.with(|s| s.backend_check.clone()));
    let close = move |_| {
        ctx.dispatch(UserAction::CloseBackendCheck);
        dom::focus_first(&["#verdict"]);
    };
    let section = move |check: BackendCheck| {
        let worst = worst_error(&check).map(|error| error.to_string());
        let summary = summary(&check);
        view! {
            <section class="check" id="check" aria-labelledby="check-title" data-worst=worst>
                <h2 id="check-title">"This browser compared with PyTorch"</h2>
                <p class="fine" role="status">{summary}</p>
                {table(check.groups)}
                <button on:click=close>"Close"</button>
            </section>
        }
    };
    move || check.get().map(section)
}

/// The largest error, where NaN counts as the largest; `None` until the check ends.
fn worst_error(check: &BackendCheck) -> Option<f64> {
    check.groups.iter().map(|group| group.error).reduce(|a, b| if a >= b { a } else { b })
}

fn summary(check: &BackendCheck) -> String {
    let Some(worst) = worst_error(check) else {
        return "Computing the values, gradients and losses of the fixture's network.".into();
    };
    let passed = check.groups.iter().filter(|group| group.passed()).count();
    let (all, seconds) = (check.groups.len(), check.milliseconds / 1e3);
    let tolerance = verify::TOLERANCE;
    format!(
        "{passed} of {all} groups are within {tolerance:e} of the reference; largest error {worst:.1e}; {seconds:.1} s."
    )
}

fn table(groups: Vec<verify::GroupCheck>) -> impl IntoView {
    let is_empty = groups.is_empty();
    let row = |check: verify::GroupCheck| {
        view! {
            <tr data-group=check.group.clone() data-error=check.error.to_string()>
                <th scope="row">{check.group.clone()}</th>
                <td>{format!("{:.1e}", check.error)}</td>
                <td>{if check.passed() { "passed" } else { "failed" }}</td>
            </tr>
        }
    };
    view! {
        <table hidden=is_empty>
            <thead><tr><th scope="col">"Group"</th><th scope="col">"Largest error"</th><th scope="col">"Result"</th></tr></thead>
            <tbody>{groups.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}
