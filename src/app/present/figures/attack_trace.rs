//! The margin after each step of an attack.

use crate::{
    app::chart::{Axis, Chart, Form, Mark, Tone},
    protocol::Trace,
};

/// The lowest margin after each step; several attacks are drawn side by side. `None` before the first attack.
pub fn chart(traces: &[Trace], description: &str) -> Option<Chart> {
    let single = match traces {
        [] => return None,
        [trace] => Some(trace.steps as f32),
        _ => None,
    };
    let mut marks = vec![Mark::new("goal", Tone::Soft, Form::Level(0.0))];
    for (n, trace) in traces.iter().enumerate() {
        let last = (trace.margins.len() as f32 - 1.0).max(1.0);
        let x = |i: usize| single.map_or(n as f32, |_| 0.0) + i as f32 / last * single.unwrap_or(1.0);
        let points = trace.margins.iter().enumerate().map(|(i, &margin)| [x(i), margin]).collect();
        let (end, tone) = if trace.succeeded { ("succeeds", Tone::Adversarial) } else { ("fails", Tone::Robust) };
        marks.push(Mark::new(&format!("{} {end}", trace.attack), tone, Form::Line(points)));
        if n > 0 {
            marks.push(Mark::new("", Tone::Soft, Form::Upright(n as f32)));
        }
    }
    let places = match single {
        Some(_) => Vec::new(),
        None => traces.iter().enumerate().map(|(n, trace)| (n as f32 + 0.5, trace.attack.clone())).collect(),
    };
    Some(Chart {
        name: "attack-trace".into(),
        title: "Margin after each step".into(),
        description: description.into(),
        x: if single.is_some() {
            Axis::new("step", "").counts()
        } else {
            Axis::default().least(0.0, traces.len() as f32)
        },
        y: Axis::new("lowest margin so far", "logits"),
        places,
        marks,
        ..Chart::default()
    })
}
