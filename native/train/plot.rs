//! Pictures of results.

use anyhow::anyhow;
use otjr::train::Record;
use plotters::prelude::*;

use crate::shell::style::{self, COLOURS};

/// An SVG: the cross-entropy of each run over its steps, and each run's clean and robust accuracy as bars.
pub fn curves(logs: &[(String, Vec<Record>)], accuracies: Vec<[f64; 2]>) -> anyhow::Result<String> {
    style::register_sans_serif();
    let mut svg = String::new();
    draw(&mut svg, logs, &accuracies).map_err(|e| anyhow!("could not draw the curves: {e}"))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    logs: &[(String, Vec<Record>)],
    accuracies: &[[f64; 2]],
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, (960, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(640);
    let last = logs.iter().filter_map(|(_, records)| records.last()).map(|r| r.step).max().unwrap_or(1);
    let highest = logs.iter().flat_map(|(_, records)| records).map(|r| r.ce).fold(0.1f32, f32::max);
    let mut chart = ChartBuilder::on(&left)
        .caption("Cross-entropy in training", ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0u64..last, 0f32..highest * 1.05)?;
    chart.configure_mesh().x_desc("step").light_line_style(TRANSPARENT).draw()?;
    for ((name, records), colour) in logs.iter().zip(COLOURS) {
        let line = LineSeries::new(records.iter().map(|r| (r.step, r.ce)), colour.stroke_width(2));
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
        chart.draw_series(line)?.label(name).legend(legend);
    }
    chart.configure_series_labels().border_style(BLACK.mix(0.2)).background_style(WHITE).draw()?;

    let mut chart = ChartBuilder::on(&right)
        .caption("Accuracy, %", ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(36)
        .build_cartesian_2d(0f64..2.0, 0f64..100.0)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(5)
        .x_label_formatter(&|x| match x {
            x if (*x - 0.5).abs() < 0.01 => "clean".into(),
            x if (*x - 1.5).abs() < 0.01 => "PGD-20".into(),
            _ => String::new(),
        })
        .draw()?;
    let width = 0.7 / accuracies.len().max(1) as f64;
    for (run, (shares, colour)) in accuracies.iter().zip(COLOURS).enumerate() {
        for (group, share) in shares.iter().enumerate() {
            let x = group as f64 + 0.15 + run as f64 * width;
            let height = 100.0 * share;
            chart.draw_series([Rectangle::new([(x, 0.0), (x + width * 0.95, height)], colour.filled())])?;
            chart.draw_series([Text::new(
                format!("{height:.0}"),
                (x + width * 0.2, (height + 6.0).min(99.0)),
                ("sans-serif", 14),
            )])?;
        }
    }
    area.present()?;
    Ok(())
}
