//! Tables and figures of all measurements.

use std::{cmp::Reverse, path::Path};

use otjr_cli::files;

use crate::{
    estimate::{self, COUNTS, Estimates},
    figure::{Axes, Line, lines},
    measure::{JacobianResponse, Measurements, RADII},
};

const LAYERS_TITLE: &str = "Change of each layer under PGD-20, 8/255";

/// Writes `tables.md`, `estimates.json` and the figures.
pub fn all(models: &[Measurements], out: &Path) -> anyhow::Result<()> {
    let mut text = String::from("# Tables\n\nWritten by `study`.\n");
    for number in 0..models.first().map_or(0, |model| model.curves.len()) {
        text += &accuracy(models, number, out)?;
    }
    text += &jacobians(models);
    text += &layers(models, out)?;
    let estimates = estimate::all();
    text += &estimate_accuracy(&estimates, out)?;

    let tables = out.join("tables.md");
    files::write(&tables, text.as_bytes())?;
    files::write(&out.join("estimates.json"), &serde_json::to_vec_pretty(&estimates)?)?;
    println!("Written: {}, and the figures in the same directory", tables.display());
    Ok(())
}

/// Accuracy of all models under the attack with this number, at each radius.
fn accuracy(models: &[Measurements], number: usize, out: &Path) -> anyhow::Result<String> {
    let attack = &models[0].curves[number].attack;
    let title = format!("Accuracy under {attack}, %");
    let mut head = vec!["model".to_owned(), "clean".to_owned()];
    head.extend(RADII.map(|radius| format!("{radius}/255")));
    let (mut rows, mut curves) = (Vec::new(), Vec::new());
    for model in models {
        let robust = &model.curves[number].robust;
        let mut row = vec![model.name.clone(), percent(model.clean)];
        let mut points = vec![(0.0, 100.0 * model.clean)];
        for (radius, accuracy) in RADII.into_iter().zip(robust) {
            row.push(percent(*accuracy));
            points.push((f64::from(radius), 100.0 * accuracy));
        }
        rows.push(row);
        curves.push(Line { name: model.name.clone(), points });
    }
    let axes = Axes { title: &title, x: "L-inf radius, in 255ths", y_to: 100.0, names: &[] };
    let figure = figure(out, &format!("accuracy-{attack}.svg"), &axes, &curves)?;
    Ok(format!("\n## {title}\n\n{}{figure}", table(&head, &rows)))
}

/// Gradients of the logits along the transport and along random directions, and the scale of L_SW.
fn jacobians(models: &[Measurements]) -> String {
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
    let lambda = |value: Option<f32>| value.map_or("-".to_owned(), |value| value.to_string());
    let response = |r: JacobianResponse| [format!("{:.3}", r.norm), format!("{:.3}", r.alignment)];
    let mut rows = Vec::new();
    for model in models {
        let mut row = vec![model.name.clone()];
        row.extend(match &model.trained {
            Some((objective, sw, jac)) => [objective.clone(), lambda(*sw), lambda(*jac)],
            None => ["?", "?", "?"].map(String::from),
        });
        row.extend(response(model.along_transport));
        row.extend(response(model.at_random));
        row.extend([model.distance, model.logits, model.distance / model.logits].map(|value| format!("{value:.3}")));
        rows.push(row);
    }
    format!(
        "\n## Jacobians and transport (PGD-20, 8/255)\n\n\
         u is the gradient of the logits along a direction; cos is its cosine with the perturbation. z² is the mean square of \
         the logits.\n\n{}",
        table(&head.map(String::from), &rows)
    )
}

/// Relative change of each layer's activations under attack.
fn layers(models: &[Measurements], out: &Path) -> anyhow::Result<String> {
    let layers = layer_names(models);
    let shift = |model: &Measurements, layer: &String| {
        model.shifts.iter().find(|shift| shift.layer == *layer).map(|shift| shift.relative_l2)
    };
    let mut head = vec!["layer".to_owned()];
    head.extend(models.iter().map(|model| model.name.clone()));
    let mut rows = Vec::new();
    for layer in &layers {
        let mut row = vec![layer.clone()];
        row.extend(models.iter().map(|model| shift(model, layer).map_or(String::new(), |shift| format!("{shift:.3}"))));
        rows.push(row);
    }
    let line = |model: &Measurements| {
        let point = |(i, layer): (usize, &String)| Some((i as f64, shift(model, layer)?));
        Line { name: model.name.clone(), points: layers.iter().enumerate().filter_map(point).collect() }
    };
    let curves: Vec<Line> = models.iter().map(line).collect();
    let highest = models.iter().flat_map(|model| &model.shifts).map(|shift| shift.relative_l2).fold(0.1, f64::max);
    let axes = Axes { title: LAYERS_TITLE, x: "", y_to: 1.05 * highest, names: &layers };
    let figure = figure(out, "layers.svg", &axes, &curves)?;
    Ok(format!(
        "\n## {LAYERS_TITLE}\n\nMean over the images of ‖h(x~) - h(x)‖ / ‖h(x)‖.\n\n{}{figure}",
        table(&head, &rows)
    ))
}

/// Returns the layers of the deepest network, then further layers of the others.
fn layer_names(models: &[Measurements]) -> Vec<String> {
    let mut by_depth: Vec<&Measurements> = models.iter().collect();
    by_depth.sort_by_key(|model| Reverse(model.shifts.len()));
    let mut layers: Vec<String> = Vec::new();
    for shift in by_depth.iter().flat_map(|model| &model.shifts) {
        if !layers.contains(&shift.layer) {
            layers.push(shift.layer.clone());
        }
    }
    layers
}

/// Standard deviation of L_SW for different numbers of projections.
fn estimate_accuracy(estimates: &[Estimates], out: &Path) -> anyhow::Result<String> {
    let mut head = vec!["classes".to_owned(), "cube".to_owned()];
    head.extend(COUNTS.map(|k| format!("K = {k}")));
    let (mut rows, mut curves) = (Vec::new(), Vec::new());
    for estimate in estimates {
        let mut row = vec![estimate.classes.to_string(), percent(estimate.cube)];
        let mut points = Vec::new();
        for (k, deviation) in COUNTS.into_iter().zip(&estimate.deviations) {
            row.push(percent(*deviation));
            points.push(((k as f64).log2(), 100.0 * deviation));
        }
        rows.push(row);
        curves.push(Line { name: format!("{} classes", estimate.classes), points });
    }
    let highest = estimates.iter().flat_map(|e| &e.deviations).fold(0.01, |m: f64, d| m.max(*d));
    let title = "Deviation of L_SW, % of the distance";
    let axes = Axes { title, x: "log2 of the number of projections K", y_to: 105.0 * highest, names: &[] };
    let figure = figure(out, "estimate.svg", &axes, &curves)?;
    Ok(format!(
        "\n## Accuracy of the L_SW estimate with K projections\n\n\
         Standard deviation of L_SW over random projections, in % of the distance. The column \"cube\" is the mean L_SW with \
         directions from the cube, as in training, in % of that with directions from the sphere.\n\n{}{figure}",
        table(&head, &rows)
    ))
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// Writes a figure and returns the Markdown line that includes it.
fn figure(out: &Path, name: &str, axes: &Axes, curves: &[Line]) -> anyhow::Result<String> {
    files::write(&out.join(name), lines(axes, curves)?.as_bytes())?;
    Ok(format!("\n![{}]({name})\n", axes.title))
}

/// Returns a Markdown table.
fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|---|{}\n", "---:|".repeat(head.len() - 1));
    line(head) + &rule + &rows.iter().map(|row| line(row)).collect::<String>()
}
