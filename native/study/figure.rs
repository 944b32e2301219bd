//! Line chart, as an SVG.

use anyhow::anyhow;
use plotters::{element::DashedPathElement, prelude::*};

use otjr_cli::style::{self, COLORS};

/// A line of a chart.
pub struct Line {
    pub name: String,
    /// Pairs of x and y.
    pub points: Vec<(f64, f64)>,
}

/// Title and axes of a chart. `names` label x = 0, 1, ... instead of numbers, if there are any.
pub struct Axes<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y_to: f64,
    pub names: &'a [String],
}

/// Returns the chart.
pub fn lines(axes: &Axes, lines: &[Line]) -> anyhow::Result<String> {
    style::register_sans_serif();
    let mut svg = String::new();
    draw(&mut svg, axes, lines).map_err(|e| anyhow!("could not draw {}: {e}", axes.title))?;
    Ok(svg)
}

fn draw(svg: &mut String, axes: &Axes, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, (900, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let last = lines.iter().flat_map(|line| &line.points).map(|p| p.0).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption(axes.title, ("sans-serif", 20))
        .margin(16)
        .margin_right(40)
        .x_label_area_size(40)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last, 0.0..axes.y_to)?;
    let tick_label = |x: &f64| {
        let near = (x - x.round()).abs() < 1e-6;
        // `block1.0`, because `block1.layer.0` overlaps the next label.
        axes.names.get(x.round() as usize).filter(|_| near).map(|name| name.replace(".layer.", ".")).unwrap_or_default()
    };
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(axes.x).light_line_style(TRANSPARENT).bold_line_style(BLACK.mix(0.1)).label_style(("sans-serif", 14));
    if !axes.names.is_empty() {
        mesh.x_labels(axes.names.len() + 1).x_label_formatter(&tick_label);
        mesh.x_label_style(("sans-serif", 12));
    }
    mesh.draw()?;
    for (number, Line { name, points }) in lines.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let style = color.stroke_width(2);
        let points = points.iter().copied();
        let ends = |(x, y): (i32, i32)| [(x, y), (x + 20, y)];
        // Lines are dashed where colors repeat.
        if number < COLORS.len() {
            let legend = move |at| PathElement::new(ends(at), style);
            chart.draw_series(LineSeries::new(points.clone(), style))?.label(name).legend(legend);
        } else {
            let legend = move |at| DashedPathElement::new(ends(at), 6, 4, style);
            chart.draw_series(DashedLineSeries::new(points.clone(), 6, 4, style))?.label(name).legend(legend);
        }
        chart.draw_series(points.map(|p| Circle::new(p, 3, color.filled())))?;
    }
    let labels = &mut chart.configure_series_labels();
    labels
        .position(if axes.names.is_empty() { SeriesLabelPosition::UpperRight } else { SeriesLabelPosition::UpperLeft })
        .border_style(BLACK.mix(0.2))
        .background_style(WHITE.mix(0.85));
    labels.label_font(("sans-serif", 14)).draw()?;
    area.present()?;
    Ok(())
}
