//! Lines over an axis, as an SVG.

use anyhow::anyhow;
use plotters::prelude::*;

use crate::style::{self, COLOURS};

/// A line with a name, through points (x, y).
pub type Line = (String, Vec<(f64, f64)>);

/// What the axes say; `names` stand at x = 0, 1, ... in place of numbers, if there are any.
pub struct Axes<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y_to: f64,
    pub names: &'a [String],
}

pub fn lines(axes: &Axes, lines: &[Line]) -> anyhow::Result<String> {
    style::register_sans_serif();
    let mut svg = String::new();
    draw(&mut svg, axes, lines).map_err(|e| anyhow!("could not draw {}: {e}", axes.title))?;
    Ok(svg)
}

fn draw(svg: &mut String, axes: &Axes, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, (900, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let last = lines.iter().flat_map(|(_, points)| points).map(|p| p.0).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption(axes.title, ("sans-serif", 20))
        .margin(16)
        .margin_right(40)
        .x_label_area_size(if axes.names.is_empty() { 40 } else { 110 })
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last, 0.0..axes.y_to)?;
    let name = |x: &f64| {
        let near = (x - x.round()).abs() < 1e-6;
        axes.names.get(x.round() as usize).filter(|_| near).cloned().unwrap_or_default()
    };
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(axes.x).light_line_style(TRANSPARENT).bold_line_style(BLACK.mix(0.1)).label_style(("sans-serif", 14));
    if !axes.names.is_empty() {
        mesh.x_labels(axes.names.len() + 1).x_label_formatter(&name);
        mesh.x_label_style(("sans-serif", 12).into_font().transform(FontTransform::Rotate90));
    }
    mesh.draw()?;
    for ((name, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3));
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?.label(name).legend(legend);
        chart.draw_series(points.iter().map(|&p| Circle::new(p, 3, colour.filled())))?;
    }
    let labels = &mut chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperRight).border_style(BLACK.mix(0.2)).background_style(WHITE.mix(0.85));
    labels.label_font(("sans-serif", 14)).draw()?;
    area.present()?;
    Ok(())
}
