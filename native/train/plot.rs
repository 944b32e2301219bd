//! Charts of results.

use anyhow::anyhow;
use otjr::train::{Record, validation::Validation};
use plotters::{coord::Shift, prelude::*};

use otjr_cli::style::{self, COLORS};

use crate::report::Outcome;

/// Maximum number of points of a line.
const POINTS: usize = 600;

/// A value over the course of a run.
#[derive(Clone, Copy)]
pub enum Measure {
    /// A value of each step, if it has one.
    Step(fn(&Record) -> Option<f32>),
    /// A value of each evaluated epoch.
    Epoch(fn(&Validation) -> f64),
}

impl Measure {
    fn points(self, run: &Outcome) -> Vec<(u64, f32)> {
        match self {
            Self::Step(term) => run.log.iter().filter_map(|r| Some((r.step, term(r)?))).collect(),
            Self::Epoch(term) => run.validations.iter().map(|v| (v.epoch, term(v) as f32)).collect(),
        }
    }

    /// Returns the name of the x axis.
    fn x_name(self) -> &'static str {
        match self {
            Self::Step(_) => "step",
            Self::Epoch(_) => "epoch",
        }
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Returns an SVG with the cross-entropy of each run over its steps, and the clean and robust accuracies as bars.
pub fn curves(runs: &[Outcome]) -> anyhow::Result<String> {
    svg((960, 400), |area| {
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(640);
        lines(&left, Some("Cross-entropy in training"), runs, Measure::Step(|record| Some(record.ce)))?;
        bars(&right, runs)
    })
}

/// Returns an SVG with a value of each run, without background, caption and legend, or `None` if no run has the value.
pub fn curve(runs: &[Outcome], measure: Measure) -> anyhow::Result<Option<String>> {
    let measured = runs.iter().any(|run| !measure.points(run).is_empty());
    measured.then(|| svg((480, 280), |area| lines(area, None, runs, measure))).transpose()
}

fn svg(size: (u32, u32), draw: impl Fn(&Area) -> Drawn) -> anyhow::Result<String> {
    style::register_sans_serif();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?)).map_err(|e| anyhow!("could not draw the curves: {e}"))?;
    }
    Ok(svg)
}

fn lines(area: &Area, caption: Option<&str>, runs: &[Outcome], measure: Measure) -> Drawn {
    let points = |run: &Outcome| {
        let all = measure.points(run);
        // Neighboring points are averaged if there are too many.
        let chunk = all.len().div_ceil(POINTS).max(1);
        let mean =
            |part: &[(u64, f32)]| (part[part.len() / 2].0, part.iter().map(|p| p.1).sum::<f32>() / part.len() as f32);
        all.chunks(chunk).map(mean).collect::<Vec<_>>()
    };
    let all: Vec<Vec<(u64, f32)>> = runs.iter().map(points).collect();
    let last = all.iter().filter_map(|points| points.last()).map(|p| p.0).max().unwrap_or(1);
    let value = || all.iter().flatten().map(|p| p.1);
    let (lowest, highest) = (value().fold(0f32, f32::min), value().fold(1e-6f32, f32::max));
    let mut chart = ChartBuilder::on(area);
    if let Some(caption) = caption {
        chart.caption(caption, ("sans-serif", 18));
    }
    let mut chart = (chart.margin(16).x_label_area_size(40).y_label_area_size(56))
        .build_cartesian_2d(0u64..last, lowest * 1.05..highest * 1.05)?;
    let mesh = &mut chart.configure_mesh();
    mesh.x_desc(measure.x_name())
        .x_labels(5)
        .y_labels(6)
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 14))
        .draw()?;
    for ((run, points), color) in runs.iter().zip(all).zip(COLORS) {
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2));
        chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?.label(&run.objective).legend(legend);
    }
    if caption.is_some() {
        let labels = &mut chart.configure_series_labels();
        labels.position(SeriesLabelPosition::UpperRight);
        labels.label_font(("sans-serif", 14)).border_style(BLACK.mix(0.2)).background_style(WHITE).draw()?;
    }
    Ok(())
}

fn bars(area: &Area, runs: &[Outcome]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
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
    let width = 0.7 / runs.len().max(1) as f64;
    for (number, (run, color)) in runs.iter().zip(COLORS).enumerate() {
        for (group, share) in run.accuracy.shares().into_iter().enumerate() {
            let x = group as f64 + 0.15 + number as f64 * width;
            let height = 100.0 * share;
            chart.draw_series([Rectangle::new([(x, 0.0), (x + width * 0.95, height)], color.filled())])?;
            chart.draw_series([Text::new(
                format!("{height:.0}"),
                (x + width * 0.2, (height + 6.0).min(99.0)),
                ("sans-serif", 14),
            )])?;
        }
    }
    Ok(())
}
