//! The report as one HTML file without scripts and external resources.

use std::{env::consts, process::Command, thread};

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use otjr::{data::image::encode_png, evaluate::Accuracy, settings::Settings, train::TrainConfig};

use crate::{
    plot::{self, Measure},
    report::{Outcome, Report, attack_name, example_images},
};

const STYLE: &str = include_str!("report.css");

/// Titles and values of the training curves.
const MEASURES: [(&str, Measure); 7] = [
    ("Cross-entropy", Measure::Step(|record| Some(record.ce))),
    ("Distance between clean and adversarial logits", Measure::Step(|record| record.distance)),
    ("Jacobian penalty R", Measure::Step(|record| record.jacobian)),
    ("Loss: weighted sum of these terms", Measure::Step(|record| Some(record.loss))),
    ("Learning rate", Measure::Step(|record| Some(record.rate))),
    ("Held-out images: clean accuracy, %", Measure::Epoch(|epoch| 100.0 * epoch.clean)),
    ("Held-out images: accuracy under PGD-10, %", Measure::Epoch(|epoch| 100.0 * epoch.robust)),
];

/// Returns the page.
pub fn page(report: &Report) -> anyhow::Result<Markup> {
    let curves = MEASURES.map(|(name, measure)| Ok((name, plot::curve(report.runs, measure)?)));
    let curves = curves.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                title { (report.title()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (report.title()) }
                    p { (report.about()) }
                }
                main {
                    section {
                        h2 { "Results" }
                        (results(report.runs))
                    }
                    section {
                        h2 { "Training" }
                        p.legend { @for run in report.runs { span { (run.objective) } } }
                        div.curves {
                            @for (name, svg) in &curves {
                                @if let Some(svg) = svg {
                                    figure { figcaption { (name) } (PreEscaped(svg)) }
                                }
                            }
                        }
                    }
                    section {
                        h2 { "Adversarial images" }
                        p {
                            "Under " (attack_name()) ", with all steps. The perturbation is shown next to each adversarial image, "
                            "magnified by the given factor; gray means no change."
                        }
                        (gallery(report))
                    }
                    section {
                        h2 { "Attacks" }
                        (attacks(report.runs))
                    }
                    section {
                        h2 { "Classes" }
                        (classes(report))
                    }
                    section {
                        h2 { "Settings" }
                        (settings(report.config))
                    }
                    section {
                        h2 { "Machine and time" }
                        (machine(report))
                    }
                }
            }
        }
    })
}

/// Returns a table that scrolls horizontally on narrow screens.
fn table(caption: &str, heads: &[&str], rows: Markup) -> Markup {
    html! {
        div.table tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn results(runs: &[Outcome]) -> Markup {
    let rows = html! {
        @for run in runs {
            @let [clean, robust] = run.accuracy.shares();
            tr {
                th scope="row" { (run.objective) }
                td { (percent(clean)) }
                td { (percent(robust)) }
            }
        }
    };
    table("Accuracy on the test images", &["objective", "clean", &attack_name()], rows)
}

fn gallery(report: &Report) -> Markup {
    let (test, classes) = (&report.data.test, &report.data.test.classes);
    let image = |pixels: &[u8], alt: &str| {
        let data = format!("data:image/png;base64,{}", STANDARD.encode(encode_png(pixels)));
        html! { img src=(data) alt=(alt) width="96" height="96"; }
    };
    let verdict = |class: usize, label: usize| {
        let (kind, sign) = if class == label { ("right", "✓") } else { ("wrong", "✗") };
        html! { b class=(kind) { (classes[class]) "\u{a0}" (sign) } }
    };
    html! {
        @for (k, i) in example_images(test).into_iter().enumerate() {
            @let label = usize::from(test.labels[i]);
            div.pair {
                figure {
                    (image(test.image(i), "clean"))
                    figcaption { "Test image " (i) ": " b { (classes[label]) } }
                }
                @for run in report.runs {
                    @let pair = &run.pairs[k];
                    @let [clean, attacked] = pair.classes;
                    @let changed = pair.attacked != test.image(i);
                    figure {
                        (image(&pair.attacked, "adversarial"))
                        @if changed { (image(&pair.change.pixels, "perturbation")) }
                        figcaption {
                            (run.objective) ": "
                            @if clean != label { "misclassified without attack, " } @else if attacked != label { (classes[clean]) " → " }
                            (verdict(attacked, label))
                            @if changed { ", perturbation\u{a0}×\u{a0}" (pair.change.factor) }
                            @else if clean == label { ", no perturbation found" }
                        }
                    }
                }
            }
        }
    }
}

fn attacks(runs: &[Outcome]) -> Markup {
    let rows = html! {
        @for run in runs {
            @for attack in &run.attacks {
                tr {
                    th scope="row" { (run.objective) }
                    td.text { (attack.name) }
                    td { (attack.before) }
                    td { (attack.after) }
                    td { (attack.queries[0]) }
                    td { (attack.queries[1]) }
                    td { (format!("{:.1} s", attack.seconds)) }
                }
            }
        }
    };
    html! {
        (table(
            "Correctly classified images before and after each attack",
            &["objective", "attack", "before", "after", "forward passes", "gradients", "time"],
            rows,
        ))
        @for run in runs {
            @for flag in &run.flags { p { strong { (run.objective) } ": " (flag) } }
        }
    }
}

fn classes(report: &Report) -> Markup {
    let test = &report.data.test;
    let mut heads = vec!["class".to_owned(), "images".to_owned()];
    for run in report.runs {
        heads.extend([format!("{}, clean", run.objective), format!("{}, {}", run.objective, attack_name())]);
    }
    let share = |accuracy: &Accuracy| {
        let shares = accuracy.shares().map(|share| if accuracy.images == 0 { "–".into() } else { percent(share) });
        html! { @for share in shares { td { (share) } } }
    };
    let rows = html! {
        @for (label, name) in test.classes.iter().enumerate() {
            tr {
                th scope="row" { (name) }
                td { (report.runs[0].classes[label].images) }
                @for run in report.runs { (share(&run.classes[label])) }
            }
        }
    };
    table("Accuracy by class", &heads.iter().map(String::as_str).collect::<Vec<_>>(), rows)
}

fn settings(config: &TrainConfig) -> Markup {
    html! {
        dl {
            @for (key, value) in config.pairs() {
                div { dt { (key) } dd { @if value.is_empty() { "–" } @else { (value) } } }
            }
        }
    }
}

fn machine(report: &Report) -> Markup {
    let cores = thread::available_parallelism().map_or("an unknown number of".into(), |n| n.to_string());
    let trained = report.runs.iter().map(|run| (&run.objective, run.seconds));
    let attacked: f64 = report.runs.iter().flat_map(|run| &run.attacks).map(|attack| attack.seconds).sum();
    html! {
        dl {
            div { dt { "Device" } dd { (report.opened.name) } }
            div {
                dt { "Machine" }
                dd { (consts::OS) ", " (consts::ARCH) ", " (cores) " cores, " (rayon::current_num_threads()) " threads used" }
            }
            div { dt { "Program" } dd { "otjr " (env!("CARGO_PKG_VERSION")) } }
            @if let Some(commit) = commit() { div { dt { "Git commit" } dd { (commit) } } }
            @for (objective, seconds) in trained {
                div { dt { "Training, " (objective) } dd { (format!("{seconds:.1} s")) } }
            }
            div { dt { "Attacks" } dd { (format!("{attacked:.1} s")) } }
            @for run in report.runs { div { dt { "Model, " (run.objective) } dd { (run.model.display()) } } }
        }
    }
}

/// Returns the Git commit of the source directory, if it still exists. It is read at run time, because reading it at
/// build time would rebuild everything after each commit.
fn commit() -> Option<String> {
    let arguments = ["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    let git = Command::new("git").args(arguments).output().ok().filter(|git| git.status.success())?;
    Some(String::from_utf8_lossy(&git.stdout).trim().to_owned())
}
