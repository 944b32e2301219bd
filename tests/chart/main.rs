//! Charts without a browser: round numbers, text that stays text, marks inside their plot, numbers that come back.

use otjr::app::{
    chart::{
        Axis, Chart, Form, Grid, Mark, Scale, SeriesStyle, standalone_svg,
        ticks::{labels, ticks},
    },
    domain::format::short,
    present::figures::attack_trace,
};
use otjr::protocol::{QueryCounts, Trace};

/// A chart with one mark of every kind, its values spread over four orders of magnitude.
fn everything() -> Chart {
    let curve: Vec<[f32; 2]> = (0..30).map(|i| [i as f32 * 10.0, (i as f32 - 15.0).powi(3) * 3.0]).collect();
    let bars = (0..10).map(|i| [i as f32 * 30.0, (i + 1) as f32 * 30.0, i as f32 * 500.0]).collect();
    let arrows = vec![[0.0, 0.0, 300.0, 9000.0], [200.0, -10000.0, 200.0, -10000.0], [5.0, 5.0, f32::NAN, 0.0]];
    let map = Grid::around([0.0, 290.0], [-9000.0, 9000.0], 5, (0..20).map(|i| i as f32 - 7.0).collect());
    let regions = Grid { x: [0.0, 290.0], y: [-9000.0, 9000.0], columns: 8, values: (0..64).map(|i| i / 32).collect() };
    let of = |series: &str, style, form| Mark::new(series, style, form);
    Chart {
        name: "all".into(),
        title: "Every kind of mark, one upon the other, under a title that is long enough for two lines".into(),
        description: "A test.".into(),
        x: Axis::new("step", "s"),
        y: Axis::new("margin", "logits").including(-12000.0, 0.0),
        marks: vec![
            of("height", SeriesStyle::Soft, Form::Map(map.clone(), Scale::Diverging)),
            of("", SeriesStyle::Soft, Form::Regions(regions, vec!["cat".into(), "dog".into()])),
            of("", SeriesStyle::Adversarial, Form::Segments(map.contour(0.0))),
            of("share", SeriesStyle::Standard, Form::Bars(bars)),
            of("clean", SeriesStyle::Clean, Form::Line(curve.clone())),
            of("clean", SeriesStyle::Clean, Form::Points(curve.clone())),
            of("class", SeriesStyle::Class(9), Form::Points(curve)),
            of("moves", SeriesStyle::Robust, Form::Arrows(arrows)),
            of("goal", SeriesStyle::Soft, Form::HorizontalLine(0.0)),
            of("falls", SeriesStyle::Soft, Form::VerticalLine(290.0)),
        ],
        ..Chart::default()
    }
}

/// The values of an attribute of the elements called `name`.
fn attributes<'a>(svg: &'a str, name: &str, attribute: &str) -> Vec<&'a str> {
    let (open, key) = (format!("<{name} "), format!(" {attribute}=\""));
    let value = |element: &'a str| {
        let element = element.split('>').next()?;
        element.split_once(&key)?.1.split('"').next()
    };
    svg.match_indices(&open).filter_map(|(i, _)| value(&svg[i..])).collect()
}

fn numbers(text: &str) -> Vec<f32> {
    let parts = text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'));
    parts.filter(|p| !p.is_empty()).map(|p| p.parse().unwrap()).collect()
}

/// Points `[x, y]` of all marks of a drawing.
fn drawn(svg: &str) -> Vec<[f32; 2]> {
    let (_, marks) = svg.split_once(r#"<g class="marks">"#).expect("a plot has marks");
    let paths = attributes(marks, "path", "d").into_iter().chain(attributes(marks, "polyline", "points"));
    let mut points: Vec<[f32; 2]> =
        paths.flat_map(|d| numbers(d).chunks_exact(2).map(|p| [p[0], p[1]]).collect::<Vec<_>>()).collect();
    let centers = attributes(marks, "circle", "cx").into_iter().zip(attributes(marks, "circle", "cy"));
    points.extend(centers.map(|(x, y)| [x.parse().unwrap(), y.parse().unwrap()]));
    points
}

/// Left, right, top and bottom of the plot: the grid's lines reach from side to side.
fn plot_box(svg: &str) -> [f32; 4] {
    let axes = svg.split("<g stroke=").nth(1).and_then(|g| g.split("</g>").next()).expect("a plot has axes");
    let of = |key| attributes(axes, "line", key).into_iter().map(|v| v.parse::<f32>().unwrap()).collect::<Vec<_>>();
    let (x1, x2, y1, y2) = (of("x1"), of("x2"), of("y1"), of("y2"));
    let mut level = (0..x1.len()).filter(|&i| y1[i] == y2[i]);
    let bottom = level.clone().map(|i| y1[i]).fold(0.0, f32::max);
    let top = level.clone().map(|i| y1[i]).fold(f32::INFINITY, f32::min);
    let i = level.next_back().unwrap();
    [x1[i], x2[i], top, bottom]
}

#[test]
fn ticks_are_round_in_the_range_and_few() {
    for (range, at_most, expected) in [
        ([0.0, 1.0], 6, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([-1.3, 2.1], 5, vec![-1.0, 0.0, 1.0, 2.0]),
        ([0.0, 0.031], 4, vec![0.0, 0.01, 0.02, 0.03]),
        ([0.1, 8.8], 2, vec![5.0]),
        ([1e9, 1e9 + 40.0], 3, vec![1e9, 1e9 + 20.0, 1e9 + 40.0]),
    ] {
        let found = ticks(range, at_most);
        assert_eq!(found.len(), expected.len(), "{range:?}: {found:?}");
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0)), "{found:?}");
    }
    for (low, span) in [(-7.3, 0.002), (0.1, 8.7), (1234.5, 1e7), (-1e30, 3e30), (0.0, 1e-30)] {
        for at_most in 2..10 {
            let found = ticks([low, low + span], at_most);
            assert!((1..=at_most).contains(&found.len()), "{low} {span} {at_most}: {found:?}");
            let slack = 1e-5 * span;
            assert!(found.iter().all(|t| (low - slack..=low + span + slack).contains(t)), "{low} {span}: {found:?}");
        }
    }
    for none in [[f64::NAN, 1.0], [1.0, 1.0], [2.0, 1.0], [f64::NEG_INFINITY, 0.0]] {
        assert!(ticks(none, 5).is_empty());
    }
}

#[test]
fn numbers_are_short() {
    assert_eq!(labels(&[-0.5, 0.0, 0.5, 1.0]), ["−0.5", "0", "0.5", "1"]);
    assert_eq!(labels(&[0.0, 20000.0]), ["0", "20k"]);
    assert_eq!(labels(&[1_500_000.0, 2_000_000.0]), ["1.5M", "2M"]);
    assert_eq!(labels(&[0.0, 5e-5, 1e-4]), ["0", "0.5×10⁻⁴", "1×10⁻⁴"]);
    assert_eq!(labels(&[0.001, 0.002]), ["0.001", "0.002"]);
    let words = [0.0, -0.0, 1.0, -2.5, 0.01234, 159.7, 2e-5, -3.25e9, f32::NAN, f32::INFINITY].map(short);
    assert_eq!(words, ["0", "0", "1", "−2.5", "0.0123", "160", "2×10⁻⁵", "−3.25×10⁹", "–", "–"]);
}

#[test]
fn labels_of_neighboring_ticks_differ() {
    for (low, span) in [(0.0, 1.0), (-3e-5, 7e-5), (9990.0, 30.0), (1e6, 1e4), (-2.5e8, 9e8), (100.0, 0.004)] {
        let found = labels(&ticks([low, low + span], 7));
        assert!(found.len() > 1, "{low} {span}: {found:?}");
        assert!(found.windows(2).all(|w| w[0] != w[1]), "{low} {span}: {found:?}");
    }
}

#[test]
fn text_stays_text() {
    let wild = "<script>alert(\"&\")</script> \u{7} 'x'";
    let mut chart = everything();
    (chart.title, chart.description) = (wild.into(), wild.into());
    (chart.x.label, chart.y.label) = (wild.into(), wild.into());
    chart.x_labels = vec![(0.0, wild.into()), (290.0, wild.into())];
    for mark in &mut chart.marks {
        mark.series += wild;
        if let Form::Regions(_, names) = &mut mark.form {
            names.iter_mut().for_each(|n| *n = "<b>".into());
        }
    }
    let svg = chart.svg(900.0, 500.0);
    assert!(svg.contains("<title>&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;"), "{svg}");
    assert!(!svg.contains("<script"));
    assert!(!svg.contains("<b>"));
    assert!(!svg.contains('\u{7}'));
    // Nothing that the page's Content-Security-Policy forbids.
    assert!(!svg.contains("style="));
    assert!(!svg.contains("<style"));
}

#[test]
fn every_mark_lies_in_the_plot_and_every_plot_on_the_page() {
    let mut named = everything();
    let name = |i: usize| (i as f32 * 290.0 / 7.0, format!("block{i}.layer.0"));
    named.x_labels = (0..8).map(name).collect();
    let equal = Chart { equal: true, ..everything() };
    for chart in [everything(), named, equal] {
        for width in [320.0, 360.0, 800.0, 1200.0] {
            for height in [220.0, 400.0] {
                let svg = chart.svg(width, height);
                let [left, right, top, bottom] = plot_box(&svg);
                assert!(0.0 < left);
                assert!(left < right);
                assert!(right <= width);
                assert!(0.0 < top);
                assert!(top < bottom);
                assert!(bottom < height);
                let points = drawn(&svg);
                assert!(points.len() > 100, "{}", points.len());
                // Markers' corners reach beyond their middles, by less than the room at the plot's edges.
                let slack = 6.1;
                for [x, y] in points {
                    assert!(left - slack <= x, "{x} in {left}..{right} at {width}");
                    assert!(x <= right + slack, "{x} in {left}..{right} at {width}");
                    assert!(y <= bottom + slack, "{y} above {bottom} at {width} x {height}");
                    assert!(y > 0.0, "{y} above {bottom} at {width} x {height}");
                }
            }
        }
    }
}

#[test]
fn values_are_drawn_in_their_place() {
    let points = vec![[0.0, 0.0], [10.0, 5.0], [5.0, 2.5]];
    let marks = vec![Mark::new("a", SeriesStyle::Clean, Form::Line(points))];
    let svg = Chart { marks, ..Chart::default() }.svg(400.0, 200.0);
    let [a, b, middle] = drawn(&svg)[..] else { panic!("{svg}") };
    assert!(a[0] < b[0], "right is more, up is more");
    assert!(a[1] > b[1], "right is more, up is more");
    assert!((middle[0] - (a[0] + b[0]) / 2.0).abs() < 0.11);
    assert!((middle[1] - (a[1] + b[1]) / 2.0).abs() < 0.11);
    // A unit is as long upwards as to the right, if that is asked for.
    let marks = vec![Mark::new("", SeriesStyle::Clean, Form::Line(vec![[0.0, 0.0], [10.0, 5.0]]))];
    let svg = Chart { marks, equal: true, ..Chart::default() }.svg(400.0, 400.0);
    let [a, b] = drawn(&svg)[..] else { panic!("{svg}") };
    assert!(((b[0] - a[0]) - 2.0 * (a[1] - b[1])).abs() < 0.5, "{a:?} {b:?}");
    assert!(b[0] - a[0] > 250.0, "and uses the room");
}

#[test]
fn narrow_charts_have_fewer_numbers() {
    let count = |width| everything().svg(width, 300.0).matches("<text").count();
    assert!(count(340.0) < count(1200.0), "{} {}", count(340.0), count(1200.0));
}

#[test]
fn series_differ_by_more_than_color() {
    let styles =
        [SeriesStyle::Clean, SeriesStyle::Adversarial, SeriesStyle::Robust, SeriesStyle::Standard, SeriesStyle::Custom];
    let classes: Vec<SeriesStyle> = (0..10).map(SeriesStyle::Class).collect();
    for group in [&styles[..], &classes] {
        for (i, a) in group.iter().enumerate() {
            for b in &group[..i] {
                assert_ne!(a.shape(), b.shape(), "{a:?} {b:?}");
                assert_ne!(a.color(), b.color(), "{a:?} {b:?}");
            }
        }
    }
    let models = [SeriesStyle::Robust, SeriesStyle::Standard, SeriesStyle::Custom].map(SeriesStyle::dash);
    assert!(models[0] != models[1]);
    assert!(models[1] != models[2]);
    assert!(models[0] != models[2]);
    assert_ne!(SeriesStyle::Clean.dash(), SeriesStyle::Adversarial.dash());
}

#[test]
fn what_is_no_number_is_left_out() {
    let none = f32::NAN;
    let empty_grid = Grid { x: [0.0, 1.0], y: [0.0, 1.0], columns: 0, values: vec![1.0, none] };
    let form = |form| Chart { marks: vec![Mark::new("s", SeriesStyle::Clean, form)], ..Chart::default() };
    for chart in [
        Chart::default(),
        form(Form::Line(Vec::new())),
        form(Form::Points(vec![[none, 1.0], [1.0, none], [f32::INFINITY, 0.0]])),
        form(Form::Bars(Vec::new())),
        form(Form::Segments(vec![[none; 4]])),
        form(Form::HorizontalLine(1.0)),
        form(Form::VerticalLine(none)),
    ] {
        assert!(chart.svg(300.0, 200.0).contains("no data"), "{chart:?}");
        chart.csv();
    }
    // Some data among much that is none; absurd sizes.
    for chart in [
        form(Form::Map(empty_grid.clone(), Scale::Sequential)),
        form(Form::Segments(empty_grid.contour(0.0).into_iter().chain([[0.0, 0.0, 1.0, 1.0]]).collect())),
        form(Form::Line(vec![[0.0, 1.0], [none, none], [3.0, -f32::MAX], [4.0, f32::MAX], [4.0, none]])),
        form(Form::Points(vec![[1.0, 1.0]])),
        form(Form::Bars(vec![[0.0, 1.0, none], [1.0, 2.0, 0.0]])),
        form(Form::Regions(Grid { x: [0.0, 0.0], y: [none, 1.0], columns: 3, values: vec![0; 7] }, Vec::new())),
    ] {
        for size in [[300.0, 200.0], [0.0, -3.0], [none, f32::MIN_POSITIVE]] {
            let svg = chart.svg(size[0], size[1]);
            assert!(!svg.contains("NaN"), "{chart:?}: {svg}");
            assert!(!svg.contains("inf"), "{chart:?}: {svg}");
        }
    }
    let broken = form(Form::Line(vec![[0.0, 1.0], [1.0, 1.0], [none, none], [3.0, 0.0], [4.0, 1.0]])).svg(300.0, 200.0);
    assert_eq!(broken.matches("<polyline").count(), 2);
}

/// The cells of a table as RFC 4180 has them.
fn table(csv: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut rest = csv.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => cell.push(rest.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            c => cell.push(c),
        }
    }
    rows
}

#[test]
fn numbers_come_back_from_csv() {
    let points = vec![[0.1, 1.0 / 3.0], [16_777_216.0, -1e-30], [f32::MIN_POSITIVE, 0.0]];
    let name = "a, \"b\"\nc";
    let marks = vec![Mark::new(name, SeriesStyle::Clean, Form::Line(points.clone()))];
    let rows = table(&Chart { marks, x_labels: vec![(0.1, "conv1".into())], ..Chart::default() }.csv());
    assert_eq!(rows[0], ["series", "x", "y", "place"]);
    assert_eq!((rows.len(), rows[1][3].as_str(), rows[2][3].as_str()), (4, "conv1", ""));
    for (row, point) in rows[1..].iter().zip(&points) {
        assert_eq!((row[0].as_str(), [row[1].parse().unwrap(), row[2].parse().unwrap()]), (name, *point));
    }
    // Points drawn on their line are one series, other points of it are not.
    let forms = [Form::Line(points.clone()), Form::Points(points.clone()), Form::Points(points[1..].to_vec())];
    let marks = forms.map(|form| Mark::new("s", SeriesStyle::Clean, form)).to_vec();
    assert_eq!(table(&Chart { marks, ..Chart::default() }.csv()).len(), 1 + points.len() + points.len() - 1);
    let rows = table(&everything().csv());
    assert_eq!(rows[0], ["series", "x", "y", "x2", "y2", "value"]);
    assert!(rows.iter().all(|row| row.len() == 6));
    assert_eq!(rows.iter().filter(|row| row[0] == "height").count(), 20);
    assert_eq!(rows.iter().filter(|row| row[5] == "dog").count(), 32);
    let goal = rows.iter().find(|row| row[0] == "goal").unwrap();
    assert_eq!(goal[1..4], ["", "0", ""]);
}

#[test]
fn levels_are_crossed_where_the_values_say() {
    // The value is x - 0.3 at every point, taken on a grid over [-1,2] x [0,1].
    let value = |i: usize| (i % 7) as f32 * 0.5 - 1.0 - 0.3;
    let grid = Grid::around([-1.0, 2.0], [0.0, 1.0], 7, (0..21).map(value).collect());
    assert_eq!((grid.x, grid.y, grid.rows()), ([-1.25, 2.25], [-0.25, 1.25], 3));
    let line = grid.contour(0.0);
    assert_eq!(line.len(), 2);
    assert!(line.iter().all(|s| (s[0] - 0.3).abs() < 1e-5 && (s[2] - 0.3).abs() < 1e-5), "{line:?}");
    assert!(grid.contour(9.0).is_empty());
    let with_hole = Grid { values: grid.cells().map(|(_, v)| if v < -1.0 { f32::NAN } else { v }).collect(), ..grid };
    assert_eq!(with_hole.contour(0.0).len(), 2);
}

#[test]
fn maps_and_regions_show_their_ends_and_names() {
    let svg = everything().svg(700.0, 400.0);
    let ends = [Scale::Diverging.color(0), Scale::Diverging.color(Scale::LEVELS - 1)];
    assert_eq!(ends, ["#542788", "#b35806"]);
    assert!(svg.contains("−12"), "as far below zero as above");
    assert!(svg.contains(">12<"), "as far below zero as above");
    assert!(svg.contains(">cat<"));
    assert!(svg.contains(">dog<"));
    assert_eq!(Scale::Diverging.level(0.0, [-3.0, 3.0]), Some(Scale::LEVELS / 2));
    assert_eq!(Scale::Sequential.level(f32::NAN, [0.0, 1.0]), None);
    assert_eq!(Scale::Sequential.ends(&[f32::NAN, 2.0, 5.0]), [2.0, 5.0]);
}

#[test]
fn a_file_stands_alone() {
    let svg = everything().svg(700.0, 400.0);
    assert!(svg.contains("var(--clean, #0072b2)"));
    assert!(svg.contains("role=\"img\""));
    assert!(svg.contains("<desc>A test.</desc>"));
    let file = standalone_svg(&svg);
    assert!(!file.contains("var("), "{file}");
    assert!(!file.contains("inherit"), "{file}");
    assert!(file.contains("stroke=\"#0072b2\""));
    assert!(file.contains("fill=\"#14181d\""));
    assert_eq!(file.matches("<g").count(), file.matches("</g>").count());
    assert_eq!(file.matches('"').count() % 2, 0);
}

#[test]
fn the_way_of_attacks_is_drawn_over_their_goal() {
    let trace = |attack: &str, margins: &[f32], steps, reached| Trace {
        attack: attack.into(),
        margins: margins.into(),
        steps,
        queries: QueryCounts { forward: 3, backward: 2 },
        succeeded: reached,
    };
    assert_eq!(attack_trace::chart(&[], ""), None);
    let one = attack_trace::chart(&[trace("pgd", &[2.0, 1.0, -1.0], 20, true)], "words").unwrap();
    let rows = table(&one.csv());
    assert_eq!(
        rows[1..],
        [["goal", "", "0"], ["pgd succeeds", "0", "2"], ["pgd succeeds", "10", "1"], ["pgd succeeds", "20", "-1"]]
    );
    let single = attack_trace::chart(&[trace("fgsm", &[2.0, -1.0], 1, true)], "").unwrap().svg(500.0, 240.0);
    assert!(single.contains(">1<"), "there is no step 0.2: {single}");
    assert!(!single.contains(">0.2<"), "there is no step 0.2: {single}");
    let two = [trace("apgd-ce", &[2.0, 1.0], 100, false), trace("square", &[2.0, -0.5], 5000, true)];
    let chart = attack_trace::chart(&two, "words").unwrap();
    let svg = chart.svg(500.0, 240.0);
    assert_eq!(svg.matches("<polyline").count(), 2);
    assert!(svg.contains(">apgd-ce<"), "{svg}");
    assert!(svg.contains("square succeeds"), "{svg}");
    assert!(!attack_trace::chart(&[trace("pgd", &[], 0, false)], "").unwrap().svg(300.0, 200.0).contains("NaN"));
}
