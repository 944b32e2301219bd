//! Tables and figures of all that was found.

use std::path::Path;

use crate::{
    estimate::{self, COUNTS},
    figure::{Axes, Line, lines},
    files,
    measure::{Findings, JacobianResponse, RADII},
};

/// Writes `tables.md`, `estimates.json` and the figures.
pub fn all(findings: &[Findings], out: &Path) -> anyhow::Result<()> {
    let mut text = String::from("# Tables\n\nWritten by `study`.\n");
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    let radii = RADII.map(|radius| format!("{radius}/255"));
    for number in 0..findings.first().map_or(0, |f| f.curves.len()) {
        let attack = &findings[0].curves[number].attack;
        text += &format!("\n## Accuracy under {attack}, %\n\n");
        let head: Vec<String> = ["model".into(), "clean".into()].into_iter().chain(radii.clone()).collect();
        let row = |f: &Findings| {
            let robust = f.curves[number].robust.iter().map(|share| percent(*share));
            [f.name.clone(), percent(f.clean)].into_iter().chain(robust).collect()
        };
        text += &table(&head, findings.iter().map(row));
        let line = |f: &Findings| -> Line {
            let points =
                RADII.iter().map(|&radius| f64::from(radius)).zip(f.curves[number].robust.iter().map(|s| 100.0 * s));
            (f.name.clone(), [(0.0, 100.0 * f.clean)].into_iter().chain(points).collect())
        };
        let title = format!("Accuracy under {attack}, %");
        let axes = Axes { title: &title, x: "L-inf radius, in 255ths", y_to: 100.0, names: &[] };
        text += &figure(out, &format!("accuracy-{attack}.svg"), &axes, &findings.iter().map(line).collect::<Vec<_>>())?;
    }

    text += "\n## How the models react to pixels, and to the attack (PGD-20, 8/255)\n\n";
    text +=
        "u: the gradient of the logits along a direction; cos: with the perturbation, which the transport undoes.\n\n";
    let head = [
        "model",
        "objective",
        "λ_SW",
        "λ_R",
        "‖u‖ along transport",
        "cos",
        "‖u‖ at random",
        "cos",
        "L_SW",
        "z²",
        "L_SW / z²",
    ];
    let row = |f: &Findings| {
        let shown = |lambda: Option<f32>| lambda.map_or("-".to_owned(), |lambda| lambda.to_string());
        let (objective, lambda_sw, lambda_jac) = f.trained.clone().map_or_else(
            || ["?", "?", "?"].map(String::from).into(),
            |(objective, sw, jac)| (objective, shown(sw), shown(jac)),
        );
        let reaction = |r: JacobianResponse| [format!("{:.3}", r.norm), format!("{:.3}", r.alignment)];
        let [along, along_cos] = reaction(f.along_transport);
        let [random, random_cos] = reaction(f.at_random);
        let scale = [f.distance, f.logits, f.distance / f.logits].map(|v| format!("{v:.3}"));
        [f.name.clone(), objective, lambda_sw, lambda_jac, along, along_cos, random, random_cos]
            .into_iter()
            .chain(scale)
            .collect()
    };
    text += &table(&head.map(String::from), findings.iter().map(row));

    text += "\n## How far each layer moves under PGD-20, 8/255\n\nMean over the images of ‖h(x~) - h(x)‖ / ‖h(x)‖.\n\n";
    // Networks may differ: the deepest one's layers, then what the others alone have.
    let mut layers: Vec<String> = Vec::new();
    let mut by_depth: Vec<&Findings> = findings.iter().collect();
    by_depth.sort_by_key(|f| std::cmp::Reverse(f.shifts.len()));
    for shift in by_depth.iter().flat_map(|f| &f.shifts) {
        if !layers.contains(&shift.layer) {
            layers.push(shift.layer.clone());
        }
    }
    let head: Vec<String> = ["layer".into()].into_iter().chain(findings.iter().map(|f| f.name.clone())).collect();
    let moved = |f: &Findings, layer: &String| f.shifts.iter().find(|s| s.layer == *layer).map(|s| s.relative_l2);
    let row = |layer: &String| {
        let of = |f: &Findings| moved(f, layer).map_or(String::new(), |moved| format!("{moved:.3}"));
        [layer.clone()].into_iter().chain(findings.iter().map(of)).collect()
    };
    text += &table(&head, layers.iter().map(row));
    let line = |f: &Findings| -> Line {
        let point = |(i, layer): (usize, &String)| Some((i as f64, moved(f, layer)?));
        (f.name.clone(), layers.iter().enumerate().filter_map(point).collect())
    };
    let highest = findings.iter().flat_map(|f| &f.shifts).map(|s| s.relative_l2).fold(0.1, f64::max);
    let axes =
        Axes { title: "How far each layer moves under PGD-20, 8/255", x: "", y_to: 1.05 * highest, names: &layers };
    text += &figure(out, "layers.svg", &axes, &findings.iter().map(line).collect::<Vec<_>>())?;

    let estimates = estimate::all();
    text += "\n## How well K projections estimate the distance\n\n";
    text += "Standard deviation of L_SW over draws of the projections, % of the distance; and what directions drawn from the \
             cube, as in training, give on average, % of what those of the sphere do.\n\n";
    let head: Vec<String> =
        ["classes".to_owned(), "cube".to_owned()].into_iter().chain(COUNTS.map(|k| format!("K = {k}"))).collect();
    let row = |e: &estimate::Estimates| {
        let deviations = e.deviations.iter().map(|d| percent(*d));
        [e.classes.to_string(), percent(e.cube)].into_iter().chain(deviations).collect()
    };
    text += &table(&head, estimates.iter().map(row));
    let line = |e: &estimate::Estimates| -> Line {
        let points = COUNTS.iter().map(|&k| (k as f64).log2()).zip(e.deviations.iter().map(|d| 100.0 * d));
        (format!("{} classes", e.classes), points.collect())
    };
    let highest = estimates.iter().flat_map(|e| &e.deviations).fold(0.01, |m: f64, d| m.max(*d));
    let title = "Deviation of L_SW, % of the distance";
    let axes = Axes { title, x: "log2 of the number of projections K", y_to: 105.0 * highest, names: &[] };
    text += &figure(out, "estimate.svg", &axes, &estimates.iter().map(line).collect::<Vec<_>>())?;

    files::write(&out.join("tables.md"), text.as_bytes())?;
    files::write(&out.join("estimates.json"), &serde_json::to_vec_pretty(&estimates)?)?;
    println!("Written: {}, and the figures beside it", out.join("tables.md").display());
    Ok(())
}

/// Writes a figure; returns the line that shows it.
fn figure(out: &Path, name: &str, axes: &Axes, shown: &[Line]) -> anyhow::Result<String> {
    files::write(&out.join(name), lines(axes, shown)?.as_bytes())?;
    Ok(format!("\n![{}]({name})\n", axes.title))
}

fn table(head: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|---|{}\n", "---:|".repeat(head.len() - 1));
    line(head) + &rule + &rows.map(|row| line(&row)).collect::<String>()
}
