//! Accuracies of several models as bars, as an SVG.

use anyhow::anyhow;
use plotters::{coord::Shift, prelude::*};

use otjr_cli::style::{self, COLORS};

/// One chart: groups of bars, a bar for each model.
pub struct Panel {
    pub title: String,
    pub models: Vec<String>,
    pub groups: Vec<Group>,
}

pub struct Group {
    pub name: String,
    /// Model by model: a share in [0,1] and the interval that it lies in.
    pub bars: Vec<(f64, [f64; 2])>,
}

impl Panel {
    /// Of a group, in units of half a bar: its bars and a bar's room.
    fn room(&self) -> i32 {
        2 * (self.models.len() as i32 + 1)
    }

    /// In units of half a bar.
    fn length(&self) -> i32 {
        self.room() * self.groups.len() as i32
    }

    /// In pixels, with room for title and axis.
    fn height(&self) -> u32 {
        (100 + 8 * self.length()) as u32
    }
}

/// Panels under each other.
pub fn accuracies(panels: &[Panel]) -> anyhow::Result<String> {
    style::register_sans_serif();
    let mut svg = String::new();
    draw(&mut svg, panels).map_err(|e| anyhow!("could not draw the accuracies: {e}"))?;
    Ok(svg)
}

fn draw(svg: &mut String, panels: &[Panel]) -> Result<(), Box<dyn std::error::Error>> {
    let height = panels.iter().map(Panel::height).sum();
    let mut rest = SVGBackend::with_string(svg, (960, height)).into_drawing_area();
    rest.fill(&WHITE)?;
    for panel in panels {
        let (area, below) = rest.split_vertically(panel.height());
        bars(&area, panel)?;
        rest = below;
    }
    rest.present()?;
    Ok(())
}

fn bars(area: &DrawingArea<SVGBackend, Shift>, panel: &Panel) -> Result<(), Box<dyn std::error::Error>> {
    let (room, length) = (panel.room(), panel.length());
    let (left, right) = area.split_horizontally(780);
    let mut chart = ChartBuilder::on(&left)
        .caption(&panel.title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(32)
        .y_label_area_size(150)
        .build_cartesian_2d(0f64..100.0, 0..length)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .set_tick_mark_size(LabelAreaPosition::Left, 0)
        .label_style(("sans-serif", 14))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_labels(length as usize + 1)
        .y_label_formatter(&|y| {
            // The first group is on top; its name, and a little room, in the middle of its bars.
            let group = panel.groups.len() as i32 - 1 - y / room;
            let group = panel.groups.get(group as usize).filter(|_| y % room == room / 2);
            group.map(|group| format!("{}\u{2002}", group.name)).unwrap_or_default()
        })
        .draw()?;
    for (number, (name, color)) in panel.models.iter().zip(COLORS.iter().cycle()).enumerate() {
        // Of this model's bar. Groups go down from the top, and keep half a bar free at either end.
        let middle = |group: usize| length - group as i32 * room - 2 * (number as i32 + 1);
        let bar = |(group, Group { bars, .. }): (usize, &Group)| {
            let (y, share) = (middle(group), bars[number].0);
            Rectangle::new([(0.0, y + 1), (100.0 * share, y - 1)], color.filled())
        };
        chart.draw_series(panel.groups.iter().enumerate().map(bar))?;
        let interval = |(group, Group { bars, .. }): (usize, &Group)| {
            let [low, high] = bars[number].1.map(|end| 100.0 * end);
            PathElement::new([(low, middle(group)), (high, middle(group))], BLACK.stroke_width(2))
        };
        chart.draw_series(panel.groups.iter().enumerate().map(interval))?;
        let y = 56 + 16 * number as i32;
        right.draw(&Rectangle::new([(0, y), (18, y + 10)], color.filled()))?;
        right.draw(&Text::new(name.clone(), (26, y - 2), ("sans-serif", 14)))?;
    }
    Ok(())
}
