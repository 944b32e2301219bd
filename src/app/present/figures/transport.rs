//! The transport of adversarial logits to clean logits: on one line, summed over lines, and as arrows in a plane.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark, Tone},
        domain::format::{sentence, share, short, times},
        present::{
            figures::{Figure, axes},
            model_label::ModelLabel,
        },
    },
    explore::{
        transport as found,
        transport::{Projection, TransportPlan},
    },
};

/// The estimate has settled if the second half of the lines changes it by less than this part.
const SETTLED: f32 = 0.1;

/// What L_SW sees of a batch: the matching on line number `line`, the value as lines are added, and the plane, with image
/// number `image` marked.
pub fn figure(whose: ModelLabel, transport: &TransportPlan, line: usize, image: usize) -> Figure {
    let Some(projection) = transport.projections.get(line) else { return Figure::default() };
    let lines = transport.projections.len();
    let words = tell(whose, transport, line, image);
    let charts = vec![
        Chart {
            title: format!("Line {} of {lines}: what must move where", line + 1),
            description: along(projection, line),
            ..matching(projection)
        },
        Chart {
            title: "The value as lines are added".into(),
            description: settled(transport),
            ..cumulative(transport)
        },
        Chart {
            title: "Where all lines together pull the attacked logits".into(),
            description: pulled(whose, transport, image),
            ..plane(transport, image)
        },
    ];
    Figure { caption: words, charts }
}

fn tell(whose: ModelLabel, transport: &TransportPlan, line: usize, image: usize) -> String {
    if transport.value == 0.0 {
        return sentence(&format!(
            "{} spreads attacked and clean logits alike: there is nothing to transport.",
            whose.with_article()
        ));
    }
    let projection = &transport.projections[line];
    [along(projection, line), settled(transport), pulled(whose, transport, image)].join(" ").trim_end().into()
}

fn along(projection: &Projection, line: usize) -> String {
    let far = projection.mean_square.sqrt();
    format!(
        "Along line {} the attacked values have to move {} logits to lie as the clean ones do (root mean square); that is {} of L_SW.",
        line + 1,
        short(far),
        share(projection.share)
    )
}

fn settled(transport: &TransportPlan) -> String {
    let lines = transport.projections.len();
    let half = transport.projections[(lines - 1) / 2].cumulative;
    let change = (transport.value - half).abs() / transport.value;
    match (lines, change) {
        (1, _) => format!("One line alone gives L_SW = {}.", short(transport.value)),
        (_, c) if c < SETTLED => format!(
            "With {lines} lines L_SW = {} has settled: the second half of them changed it by {}.",
            short(transport.value),
            share(c)
        ),
        (_, c) => format!(
            "With {lines} lines L_SW = {} has not settled: the second half of them still changed it by {}.",
            short(transport.value),
            share(c)
        ),
    }
}

/// Of one image: how far it is pulled, beside the others.
fn pulled(whose: ModelLabel, transport: &TransportPlan, image: usize) -> String {
    let images = transport.arrows.len();
    let classes = transport.movement.len() / images.max(1);
    let lengths: Vec<f32> =
        (transport.movement.chunks(classes.max(1))).map(|m| m.iter().map(|v| v * v).sum::<f32>().sqrt()).collect();
    let Some(&own) = lengths.get(image) else { return String::new() };
    let mean = lengths.iter().sum::<f32>() / images as f32;
    let than = match times(own, mean) {
        Some(times) if images > 1 => format!(", {times} times the mean of the {images} images"),
        _ => String::new(),
    };
    format!("The logits that {} gives to this image are pulled {} logits back{than}.", whose.with_article(), short(own))
}

/// Both orders on one line, matched by rank.
fn matching(projection: &Projection) -> Chart {
    let at = |marks: &[found::ProjectedImage], y: f32| marks.iter().map(|m| [m.value, y]).collect::<Vec<_>>();
    let (clean, attacked) = (at(&projection.clean, 1.0), at(&projection.adversarial, 0.0));
    let pairs = attacked.iter().zip(&clean).map(|(a, c)| [a[0], a[1], c[0], c[1]]).collect();
    Chart {
        name: "transport-line".into(),
        x: Axis::new("value along the line", "logits"),
        marks: vec![
            Mark::new("the same rank", Tone::Soft, Form::Segments(pairs)),
            Mark::new("original", Tone::Clean, Form::Points(clean)),
            Mark::new("attacked", Tone::Adversarial, Form::Points(attacked)),
        ],
        ..Chart::default()
    }
}

fn cumulative(transport: &TransportPlan) -> Chart {
    let points = transport.projections.iter().enumerate().map(|(k, p)| [(k + 1) as f32, p.cumulative]).collect();
    let single = transport.projections.iter().enumerate().map(|(k, p)| [(k + 1) as f32, p.mean_square]).collect();
    Chart {
        name: "transport-settles".into(),
        x: Axis::new("lines", ""),
        y: Axis::new("squared distance", "logits²").least(0.0, 0.0),
        marks: vec![
            Mark::new("each line", Tone::Soft, Form::Points(single)),
            Mark::new("mean so far", Tone::Standard, Form::Line(points)),
        ],
        ..Chart::default()
    }
}

fn plane(transport: &TransportPlan, image: usize) -> Chart {
    let arrow = |a: &found::TransportArrow| [a.adversarial[0], a.adversarial[1], a.to[0], a.to[1]];
    let others = transport.arrows.iter().enumerate().filter(|(i, _)| *i != image).map(|(_, a)| arrow(a)).collect();
    let points = |point: fn(&found::TransportArrow) -> [f32; 2]| transport.arrows.iter().map(point).collect();
    let mut marks = vec![
        Mark::new("pull of all lines", Tone::Soft, Form::Arrows(others)),
        Mark::new("original", Tone::Clean, Form::Points(points(|a| a.clean))),
        Mark::new("attacked", Tone::Adversarial, Form::Points(points(|a| a.adversarial))),
    ];
    if let Some(own) = transport.arrows.get(image) {
        marks.push(Mark::new("of this image", Tone::Robust, Form::Arrows(vec![arrow(own)])));
    }
    let [x, y] = axes(&transport.plane);
    Chart { name: "transport-plane".into(), x, y, equal: true, marks, ..Chart::default() }
}
