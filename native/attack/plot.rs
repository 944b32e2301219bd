//! Accuracy against radius, as a PNG.

use std::io::Cursor;

use anyhow::anyhow;
use image::{ImageFormat, RgbImage};
use plotters::prelude::*;

use otjr_cli::style::{self, COLORS};

const SIZE: (u32, u32) = (960, 600);

/// For each model its name and points of (radius, share in [0,1]).
pub fn accuracy(norm: &str, curves: &[(String, Vec<(f32, f64)>)]) -> anyhow::Result<Vec<u8>> {
    style::register_sans_serif();
    let mut pixels = vec![255u8; (SIZE.0 * SIZE.1 * 3) as usize];
    draw(&mut pixels, norm, curves).map_err(|e| anyhow!("could not draw the accuracies: {e}"))?;
    let image = RgbImage::from_raw(SIZE.0, SIZE.1, pixels).ok_or_else(|| anyhow!("the image has another size"))?;
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

fn draw(pixels: &mut [u8], norm: &str, curves: &[(String, Vec<(f32, f64)>)]) -> Result<(), Box<dyn std::error::Error>> {
    let area = BitMapBackend::with_buffer(pixels, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    // Of 8-bit values in L-infinity, as epsilon is usually written.
    let scale = if norm == "linf" { 255.0 } else { 1.0 };
    let unit = if norm == "linf" { "L-inf radius, in 255ths" } else { &format!("{norm} radius") };
    let largest = curves.iter().flat_map(|(_, points)| points).map(|p| p.0 * scale).fold(0.0f32, f32::max).max(1e-3);
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
    for ((name, points), color) in curves.iter().zip(COLORS.iter().cycle()) {
        let points: Vec<(f32, f64)> = points.iter().map(|(x, y)| (x * scale, 100.0 * y)).collect();
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 22, y)], color.stroke_width(3));
        chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(3)))?.label(name).legend(legend);
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
