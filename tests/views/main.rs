//! The representation views without a browser: their sentences say what the numbers say, and differ by outcome.

mod training;

use otjr::{
    app::{
        chart::{Chart, Form, SeriesStyle},
        present::{
            figures::{Figure, embedding, jacobian, layer_shift, loss_landscape, margin_vs_radius, transport},
            model_label::ModelLabel,
        },
    },
    attack::Norm,
    explore::{
        embedding::{Bounds, DecisionRegions, Embedding},
        jacobian::JacobianResponse,
        landscape::LandscapeValues,
        layers::LayerShift,
        margin_curve::MarginPoint,
        pca::PrincipalPlane,
        transport::{ProjectedImage, Projection, TransportArrow, TransportPlan},
    },
    protocol::Slot,
};

fn shifts(relative: &[f32], cosine: f32) -> Vec<LayerShift> {
    let last = relative.len() - 1;
    let name = |i: usize| match i {
        0 => "pixels".into(),
        i if i == last => "logits".into(),
        i => format!("block{i}.layer.0"),
    };
    let shift = |(i, &r): (usize, &f32)| LayerShift {
        name: name(i),
        shape: [3, 1, 1],
        relative_l2: r.is_finite().then_some(r),
        cosine: Some(if i == last { cosine } else { 1.0 }),
    };
    relative.iter().enumerate().map(shift).collect()
}

/// The lines of a chart, by series.
fn lines(chart: &Chart) -> Vec<(&str, &[[f32; 2]])> {
    let mut found = Vec::new();
    for mark in &chart.marks {
        if let Form::Line(points) = &mark.form {
            found.push((&*mark.series, &points[..]));
        }
    }
    found
}

/// Every chart of a view can be drawn, tells itself, and has a name of its own for its files.
fn sound(view: &Figure, charts: usize) {
    assert_eq!(view.charts.len(), charts, "{}", view.caption);
    assert!(view.caption.ends_with('.'), "{}", view.caption);
    assert!(view.caption.starts_with(char::is_uppercase), "{}", view.caption);
    assert!(!view.caption.contains("NaN"), "{}", view.caption);
    assert!(!view.caption.contains(".."), "{}", view.caption);
    assert!(!view.caption.contains("  "), "{}", view.caption);
    let mut names: Vec<_> = view.charts.iter().map(|c| &c.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), charts);
    for chart in &view.charts {
        assert!(!chart.title.is_empty());
        assert!(!chart.description.is_empty());
        for width in [330.0, 900.0] {
            let svg = chart.svg(width, 320.0);
            assert!(!svg.contains("no data"), "{}", chart.name);
            assert!(!svg.contains("NaN"), "{}", chart.name);
        }
        assert!(chart.csv().lines().count() > 2, "{}", chart.name);
    }
}

#[test]
fn layers_say_how_the_change_grows() {
    let (standard, robust) = (shifts(&[0.02, 0.03, 0.5, 1.6], -0.7), shifts(&[0.02, 0.02, 0.021, 0.025], 0.99));
    let view = layer_shift::figure(&[(ModelLabel::Standard, &standard), (ModelLabel::Robust, &robust)]);
    sound(&view, 2);
    assert_eq!(
        view.caption,
        "In the standard model the change grows from 2 % of the pixels to 160 % of the logits, most in block2.layer.0; in the \
         robust model the change stays about equal: 2 % of the pixels, 2.5 % of the logits. The logits of the standard model \
         reverse (cosine −0.7); the logits of the robust model keep their direction (cosine 0.99)."
    );
    assert_eq!(lines(&view.charts[0])[0], ("standard model", &[[0.0, 2.0], [1.0, 3.0], [2.0, 50.0], [3.0, 160.0]][..]));
    assert_eq!(view.charts[0].x_labels[1], (1.0, "block1.layer.0".into()));
    assert!(
        layer_shift::figure(&[(ModelLabel::Custom, &shifts(&[0.1, 0.01], 0.8))])
            .caption
            .contains("shrinks from 10 % of the pixels to 1 %")
    );
    assert!(
        layer_shift::figure(&[(ModelLabel::Custom, &shifts(&[0.0, 0.0], 1.0))]).caption.contains("nothing changes")
    );
    assert_eq!(layer_shift::figure(&[]), Figure::default());
    // Networks of different depth: from the beginning to the end of both.
    let view = layer_shift::figure(&[
        (ModelLabel::Custom, &standard),
        (ModelLabel::Robust, &shifts(&[0.02, f32::NAN, 0.4], 0.2)),
    ]);
    sound(&view, 2);
    assert!(view.charts[0].x_labels.is_empty());
    assert!(lines(&view.charts[0])[1].1[2] == [1.0, 40.0]);
}

/// Cats around (-2, 0), dogs around (2, 0), ruled by the sign of the first coordinate.
fn cats_and_dogs() -> Embedding {
    let points = vec![[-2.5, 0.0], [-1.5, 0.5], [-2.0, -0.5], [2.5, 0.0], [1.5, 0.5], [2.0, -0.5]];
    let bounds = Bounds { low: [-3.0, -1.0], high: [3.0, 1.0] };
    let classes = (0..100).map(|i| u16::from(i % 10 >= 5)).collect();
    let plane = PrincipalPlane { mean: vec![0.0; 4], axes: [vec![0.0; 4], vec![0.0; 4]], explained: [0.5, 0.2] };
    Embedding { plane, points, labels: vec![0, 0, 0, 1, 1, 1], regions: DecisionRegions { bounds, side: 10, classes } }
}

#[test]
fn the_embedding_says_where_the_image_goes() {
    let (reference, classes) = (cats_and_dogs(), ["cat", "dog"].map(String::from));
    let tell = |path: &[[f32; 2]], seen| embedding::figure(ModelLabel::Standard, &reference, &classes, path, seen);
    let crossed = tell(&[[-2.0, 0.0], [0.0, 0.5], [1.0, 0.0]], [0, 1]);
    sound(&crossed, 1);
    assert_eq!(
        crossed.caption,
        "The standard model maps the adversarial image across a boundary, from cat into the region of dog: it moves 75 % of \
         the distance between the centers of cat and dog."
    );
    let chart = &crossed.charts[0];
    assert_eq!(chart.title, "The image among 6 others in the latents of the standard model");
    assert_eq!(chart.x.label, "first axis, 50 % of the variance");
    let points = |style| {
        chart.marks.iter().find(|m| m.style == style && matches!(m.form, Form::Points(_))).unwrap().form.clone()
    };
    assert_eq!(points(SeriesStyle::Clean), Form::Points(vec![[-2.0, 0.0]]));
    assert_eq!(points(SeriesStyle::Adversarial), Form::Points(vec![[1.0, 0.0]]));
    assert_eq!(points(SeriesStyle::Class(1)), Form::Points(reference.points[3..].to_vec()));
    assert!(
        tell(&[[-2.0, 0.0], [-1.0, 0.0]], [0, 1])
            .caption
            .contains("does not show the crossing (it explains 70 % of the variance)")
    );
    assert!(
        tell(&[[-2.0, 0.0], [-1.8, 0.0]], [0, 0])
            .caption
            .contains("still predicts cat: the adversarial image moves only 5 %")
    );
    assert!(
        tell(&[[-2.0, 0.0], [9.0, 0.0]], [0, 1]).caption.contains("predicts dog instead of cat"),
        "outside of the map"
    );
    assert!(tell(&[[1.0, 0.0]], [1, 1]).caption.contains("does not move"));
    assert_eq!(tell(&[], [0, 0]), Figure::default());
    sound(&tell(&[[0.0, 0.0], [1.0, 0.0]], [7, 8]), 1); // classes of which there are no reference images
}

fn transported(values: &[f32]) -> TransportPlan {
    let mark = |image: usize, value: f32| ProjectedImage { image, value };
    let mut sum = 0.0;
    let projection = |(k, &mean_square): (usize, &f32)| {
        sum += mean_square;
        Projection {
            theta: vec![1.0, 0.0],
            clean: vec![mark(0, -1.0), mark(1, 1.0)],
            adversarial: vec![mark(1, -0.5), mark(0, 0.5)],
            mean_square,
            share: mean_square / values.iter().sum::<f32>(),
            cumulative: sum / (k + 1) as f32,
        }
    };
    let projections: Vec<_> = values.iter().enumerate().map(projection).collect();
    let arrow = |x: f32| TransportArrow { clean: [x, 0.0], adversarial: [x, 1.0], to: [x, 0.2] };
    TransportPlan {
        value: values.iter().sum::<f32>() / values.len() as f32,
        projections,
        movement: vec![3.0, 4.0, 0.0, 1.0],
        direction: vec![0.6, 0.8, 0.0, 1.0],
        plane: PrincipalPlane { mean: vec![0.0; 2], axes: [vec![1.0, 0.0], vec![0.0, 1.0]], explained: [0.9, 0.1] },
        arrows: vec![arrow(0.0), arrow(1.0)],
    }
}

#[test]
fn the_transport_says_what_lines_and_pulls_amount_to() {
    let view = transport::figure(ModelLabel::Robust, &transported(&[4.0, 4.0, 4.0, 4.0]), 1, 0);
    sound(&view, 3);
    assert_eq!(
        view.caption,
        "Along line 2 the adversarial values must move 2 logits to match the clean ones (root mean square); this is 25 % of \
         L_SW. With 4 lines L_SW = 4 has converged: the second half of them changed it by 0 %. The logits of the robust model \
         for this image are pulled back by 5 logits, 1.7 times the mean of the 2 images."
    );
    let Form::Segments(pairs) = &view.charts[0].marks[0].form else { panic!("no matching") };
    assert_eq!(pairs, &[[-0.5, 0.0, -1.0, 1.0], [0.5, 0.0, 1.0, 1.0]]);
    assert!(
        transport::figure(ModelLabel::Custom, &transported(&[1.0, 1.0, 9.0, 9.0]), 0, 1)
            .caption
            .contains("has not converged")
    );
    assert!(
        transport::figure(ModelLabel::Custom, &transported(&[2.0]), 0, 1)
            .caption
            .contains("A single line gives L_SW = 2.")
    );
    let alike = TransportPlan { value: 0.0, ..transported(&[1.0]) };
    assert!(transport::figure(ModelLabel::Custom, &alike, 0, 0).caption.contains("nothing to transport"));
    assert_eq!(transport::figure(ModelLabel::Custom, &alike, 5, 0), Figure::default());
}

fn reaction(norms: &[f32], alignment: Option<f32>) -> JacobianResponse {
    JacobianResponse { norms: norms.into(), alignment: vec![alignment; norms.len()], penalty: 1.0, maps: Vec::new() }
}

#[test]
fn the_jacobian_compares_directions_and_models() {
    let strong = [reaction(&[10.0, 12.0, 14.0], Some(0.5)), reaction(&[6.0, 6.0, 6.0], None)];
    let weak = [reaction(&[3.0, 3.0, 3.0], Some(-0.01)), reaction(&[3.0, 3.1, 2.9], None)];
    let models = [(ModelLabel::Standard, [&strong[0], &strong[1]]), (ModelLabel::Robust, [&weak[0], &weak[1]])];
    let view = jacobian::figure(&models);
    sound(&view, 2);
    assert_eq!(
        view.caption,
        "Along the transport the logits of the standard model change by 12 per unit of brightness, 2 times as much as along \
         random directions (6); the attack follows this gradient (cosine 0.5). Along the transport the logits of the robust \
         model change by 3 per unit of brightness, about as much as along random directions (3); the attack has mostly other \
         directions (cosine −0.01). The robust model reacts 4 times less than the standard one."
    );
    let Form::Bars(bars) = &view.charts[0].marks[0].form else { panic!("no histogram") };
    assert_eq!((bars.iter().map(|b| b[2]).sum::<f32>(), &bars.last().unwrap()[1..]), (3.0, &[14.0, 1.0][..]));
    let swapped = [(ModelLabel::Standard, [&weak[0], &weak[1]]), (ModelLabel::Robust, [&strong[0], &strong[1]])];
    assert!(
        jacobian::figure(&swapped).caption.ends_with("The robust model reacts 4 times more than the standard one.")
    );
    let against = reaction(&[1.0], Some(-0.9));
    assert!(
        jacobian::figure(&[(ModelLabel::Custom, [&against, &strong[1]])])
            .caption
            .contains("opposes this gradient (cosine −0.9)")
    );
    assert_eq!(jacobian::figure(&[(ModelLabel::Custom, [&reaction(&[], None), &strong[0]])]), Figure::default());
}

/// margin(s, t) on a grid of 13 x 13 over [-1, 2].
fn land(margin: impl Fn(f32, f32) -> f32) -> LandscapeValues {
    let at = |i: usize| -1.0 + 0.25 * i as f32;
    let margin: Vec<f32> = (0..169).map(|i| margin(at(i % 13), at(i / 13))).collect();
    LandscapeValues { loss: margin.iter().map(|m| -m).collect(), margin }
}

#[test]
fn the_landscape_says_where_the_boundary_lies() {
    let tell = |land: &LandscapeValues| loss_landscape::figure(ModelLabel::Standard, land, [-1.0, 2.0], 13);
    let fooled = tell(&land(|s, _| 3.0 - 4.0 * s));
    sound(&fooled, 2);
    assert_eq!(
        fooled.caption,
        "Towards the adversarial image the margin of the standard model falls from 3 to −1 logits: it crosses the \
         boundary after 75 % of the way. In a random direction of the same size it stays above 0 on this map."
    );
    let boundary =
        fooled.charts[0].marks.iter().find_map(|m| if let Form::Segments(s) = &m.form { Some(s) } else { None });
    assert!(boundary.unwrap().iter().all(|s| (s[0] - 0.75).abs() < 1e-4 && (s[2] - 0.75).abs() < 1e-4), "{boundary:?}");
    let withstands = tell(&land(|s, t| 3.0 - 2.0 * s - 2.0 * t));
    assert!(
        withstands.caption.contains("only falls from 3 to 1 logits; it would reach 0 at 1.5 times this perturbation"),
        "{}",
        withstands.caption
    );
    assert!(withstands.caption.contains("In a random direction it reaches 0 at 1.5 times this size"));
    assert!(tell(&land(|s, _| 3.0 - 0.5 * s)).caption.contains("this map shows no boundary"));
    assert!(tell(&land(|_, _| -2.0)).caption.contains("The original is already beyond the boundary"));
    // While it comes in, row by row: maps from the first row on, words when the image's row is there.
    let mut part = land(|s, _| 3.0 - 4.0 * s);
    part.margin.truncate(26);
    part.loss.truncate(26);
    assert_eq!((tell(&part).charts.len(), tell(&part).caption.as_str()), (2, ""));
    part.margin.truncate(5);
    assert_eq!(tell(&part), Figure::default());
}

#[test]
fn margins_say_where_models_fall() {
    let curve = |margins: &[f32]| -> Vec<MarginPoint> {
        let radius = |(i, &margin): (usize, &f32)| MarginPoint { epsilon: 4.0 * i as f32 / 255.0, margin };
        margins.iter().enumerate().map(radius).collect()
    };
    let (weak, strong) = (curve(&[2.0, -2.0, -9.0]), curve(&[3.0, 2.0, 1.0, -1.0]));
    let view = margin_vs_radius::figure(&[(ModelLabel::Standard, &weak), (ModelLabel::Robust, &strong)], Norm::Linf);
    sound(&view, 1);
    assert_eq!(
        view.caption,
        "The standard model is fooled at a radius of 2/255; the robust model is fooled at a radius of 10/255: 5 times larger for \
         the robust one."
    );
    let uprights: Vec<_> = view.charts[0].marks.iter().filter(|m| matches!(m.form, Form::VerticalLine(_))).collect();
    assert_eq!(
        uprights.iter().map(|m| &*m.series).collect::<Vec<_>>(),
        ["standard model fooled at 2/255", "robust model fooled at 10/255"]
    );
    let stands = margin_vs_radius::figure(&[(ModelLabel::Robust, &curve(&[3.0, 2.5]))], Norm::Linf);
    assert_eq!(stands.caption, "The robust model resists up to 4/255, where its margin is 2.5 of 3 logits.");
    assert!(
        margin_vs_radius::figure(&[(ModelLabel::Custom, &curve(&[-1.0, -2.0]))], Norm::L2)
            .caption
            .contains("misclassifies the original")
    );
    assert!(
        margin_vs_radius::figure(&[(ModelLabel::Standard, &strong), (ModelLabel::Robust, &weak)], Norm::Linf)
            .caption
            .contains("on this image")
    );
    assert_eq!(margin_vs_radius::figure(&[], Norm::L2), Figure::default());
}

#[test]
fn models_are_known_by_where_they_come_from() {
    let all = [Slot::Standard, Slot::Robust, Slot::Custom].map(ModelLabel::from);
    assert_eq!(all, [ModelLabel::Standard, ModelLabel::Robust, ModelLabel::Custom]);
}
