//! Bar chart of the accuracies of several models, as an SVG.

use anyhow::anyhow;
use plotters::{coord::Shift, prelude::*};

use otjr_cli::style::{self, COLORS};

/// A chart with groups of bars. Each group has a bar for each model.
pub struct Panel {
    pub title: String,
    pub models: Vec<String>,
    pub groups: Vec<Group>,
}

/// Bars of one test.
pub struct Group {
    pub name: String,
    /// One bar for each model.
    pub bars: Vec<Bar>,
}

/// An accuracy in [0,1] and its confidence interval.
pub struct Bar {
    pub accuracy: f64,
    pub interval: [f64; 2],
}

impl Panel {
    /// Height of a group in half bars: its bars and the space of one bar.
    fn group_height(&self) -> i32 {
        2 * (self.models.len() as i32 + 1)
    }

    /// Height of all groups in half bars.
    fn total_height(&self) -> i32 {
        self.group_height() * self.groups.len() as i32
    }

    /// Height in pixels, including title and axis.
    fn pixels(&self) -> u32 {
        (100 + 8 * self.total_height()) as u32
    }
}

/// Returns the panels as one SVG, one below the other.
pub fn accuracies(panels: &[Panel]) -> anyhow::Result<String> {
    style::register_sans_serif();
    let mut svg = String::new();
    draw(&mut svg, panels).map_err(|e| anyhow!("could not draw the chart: {e}"))?;
    Ok(svg)
}

fn draw(svg: &mut String, panels: &[Panel]) -> Result<(), Box<dyn std::error::Error>> {
    let height = panels.iter().map(Panel::pixels).sum();
    let mut rest = SVGBackend::with_string(svg, (960, height)).into_drawing_area();
    rest.fill(&WHITE)?;
    for panel in panels {
        let (area, below) = rest.split_vertically(panel.pixels());
        bars(&area, panel)?;
        rest = below;
    }
    rest.present()?;
    Ok(())
}

fn bars(area: &DrawingArea<SVGBackend, Shift>, panel: &Panel) -> Result<(), Box<dyn std::error::Error>> {
    let (group_height, total_height) = (panel.group_height(), panel.total_height());
    let (left, right) = area.split_horizontally(780);
    let mut chart = ChartBuilder::on(&left)
        .caption(&panel.title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(32)
        .y_label_area_size(150)
        .build_cartesian_2d(0f64..100.0, 0..total_height)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .set_tick_mark_size(LabelAreaPosition::Left, 0)
        .label_style(("sans-serif", 14))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_labels(total_height as usize + 1)
        .y_label_formatter(&|y| {
            // The first group is at the top. Its name is at the middle of its bars.
            let group = panel.groups.len() as i32 - 1 - y / group_height;
            let group = panel.groups.get(group as usize).filter(|_| y % group_height == group_height / 2);
            group.map(|group| format!("{}\u{2002}", group.name)).unwrap_or_default()
        })
        .draw()?;
    for (number, (name, color)) in panel.models.iter().zip(COLORS.iter().cycle()).enumerate() {
        // Position of this model's bar. Groups start at the top and have half a bar of space at each end.
        let middle = |group: usize| total_height - group as i32 * group_height - 2 * (number as i32 + 1);
        let bar = |(group, Group { bars, .. }): (usize, &Group)| {
            let (y, accuracy) = (middle(group), bars[number].accuracy);
            Rectangle::new([(0.0, y + 1), (100.0 * accuracy, y - 1)], color.filled())
        };
        chart.draw_series(panel.groups.iter().enumerate().map(bar))?;
        let interval = |(group, Group { bars, .. }): (usize, &Group)| {
            let [low, high] = bars[number].interval.map(|end| 100.0 * end);
            PathElement::new([(low, middle(group)), (high, middle(group))], BLACK.stroke_width(2))
        };
        chart.draw_series(panel.groups.iter().enumerate().map(interval))?;
        let y = 56 + 16 * number as i32;
        right.draw(&Rectangle::new([(0, y), (18, y + 10)], color.filled()))?;
        right.draw(&Text::new(name.clone(), (26, y - 2), ("sans-serif", 14)))?;
    }
    Ok(())
}
