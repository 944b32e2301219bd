//! The margin after each step of an attack.

use crate::{
    app::chart::{Axis, Chart, Form, Mark, SeriesStyle},
    protocol::Trace,
};

/// The lowest margin after each step; several attacks are drawn side by side. `None` before the first attack.
pub fn chart(traces: &[Trace], description: &str) -> Option<Chart> {
    let single = match traces {
        [] => return None,
        [trace] => Some(trace.steps as f32),
        _ => None,
    };
    let mut marks = vec![Mark::new("goal", SeriesStyle::Soft, Form::HorizontalLine(0.0))];
    for (n, trace) in traces.iter().enumerate() {
        let last = (trace.margins.len() as f32 - 1.0).max(1.0);
        let x = |i: usize| single.map_or(n as f32, |_| 0.0) + i as f32 / last * single.unwrap_or(1.0);
        let points = trace.margins.iter().enumerate().map(|(i, &margin)| [x(i), margin]).collect();
        let (end, style) =
            if trace.succeeded { ("succeeds", SeriesStyle::Adversarial) } else { ("fails", SeriesStyle::Robust) };
        marks.push(Mark::new(&format!("{} {end}", trace.attack), style, Form::Line(points)));
        if n > 0 {
            marks.push(Mark::new("", SeriesStyle::Soft, Form::VerticalLine(n as f32)));
        }
    }
    let x_labels = match single {
        Some(_) => Vec::new(),
        None => traces.iter().enumerate().map(|(n, trace)| (n as f32 + 0.5, trace.attack.clone())).collect(),
    };
    Some(Chart {
        name: "attack-trace".into(),
        title: "Margin after each step".into(),
        description: description.into(),
        x: if single.is_some() {
            Axis::new("step", "").integer()
        } else {
            Axis::default().including(0.0, traces.len() as f32)
        },
        y: Axis::new("lowest margin so far", "logits"),
        x_labels,
        marks,
        ..Chart::default()
    })
}
