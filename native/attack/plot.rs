//! Chart of robust accuracy against radius, as a PNG.

use std::io::Cursor;

use anyhow::anyhow;
use image::{ImageFormat, RgbImage};
use plotters::prelude::*;

use otjr_cli::style::{self, COLORS};

const SIZE: (u32, u32) = (960, 600);

/// Robust accuracy of a model at several radii.
pub struct Curve {
    pub model: String,
    /// Pairs of radius and accuracy in [0,1].
    pub points: Vec<(f32, f64)>,
}

/// Returns a chart with a line for each model.
pub fn accuracy(norm: &str, curves: &[Curve]) -> anyhow::Result<Vec<u8>> {
    style::register_sans_serif();
    let mut pixels = vec![255u8; (SIZE.0 * SIZE.1 * 3) as usize];
    draw(&mut pixels, norm, curves).map_err(|e| anyhow!("could not draw the chart: {e}"))?;
    let image =
        RgbImage::from_raw(SIZE.0, SIZE.1, pixels).ok_or_else(|| anyhow!("the chart has an unexpected size"))?;
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

fn draw(pixels: &mut [u8], norm: &str, curves: &[Curve]) -> Result<(), Box<dyn std::error::Error>> {
    let area = BitMapBackend::with_buffer(pixels, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    // L-inf radii are usually written in 255ths.
    let scale = if norm == "linf" { 255.0 } else { 1.0 };
    let unit = if norm == "linf" { "L-inf radius, in 255ths" } else { &format!("{norm} radius") };
    let largest = curves.iter().flat_map(|curve| &curve.points).map(|p| p.0 * scale).fold(0.0f32, f32::max).max(1e-3);
    let mut chart = ChartBuilder::on(&area)
        .caption("Accuracy, % of all images", ("sans-serif", 24))
        .margin(20)
        .x_label_area_size(48)
        .y_label_area_size(56)
        .build_cartesian_2d(0f32..largest * 1.05, 0f64..100.0)?;
    chart
        .configure_mesh()
        .x_desc(unit)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .label_style(("sans-serif", 16))
        .draw()?;
    for (Curve { model, points }, color) in curves.iter().zip(COLORS.iter().cycle()) {
        let points: Vec<(f32, f64)> = points.iter().map(|(x, y)| (x * scale, 100.0 * y)).collect();
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 22, y)], color.stroke_width(3));
        chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(3)))?.label(model).legend(legend);
        chart.draw_series(points.iter().map(|&p| Circle::new(p, 5, color.filled())))?;
    }
    let labels = &mut chart.configure_series_labels();
    labels
        .position(SeriesLabelPosition::LowerLeft)
        .label_font(("sans-serif", 16))
        .border_style(BLACK.mix(0.2))
        .background_style(WHITE)
        .draw()?;
    area.present()?;
    Ok(())
}
