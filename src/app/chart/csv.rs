//! Charts as CSV.

use super::{Chart, Form, Mark};

const COLUMNS: [&str; 7] = ["series", "x", "y", "x2", "y2", "value", "place"];

impl Chart {
    /// The chart as comma-separated values (RFC 4180) in full precision. Columns: series, x, y; if used also the second point
    /// of segments and bars (x2, y2), the value of maps, and the label along x (place).
    pub fn csv(&self) -> String {
        // The markers of a line have the same points as the line.
        let is_repeated = |i: usize| self.marks[..i].iter().any(|m| m.has_same_points(&self.marks[i]));
        let marks = self.marks.iter().enumerate().filter(|&(i, _)| !is_repeated(i)).map(|(_, mark)| mark);
        let rows: Vec<[String; 7]> = marks.flat_map(|m| self.rows(&m.series, &m.form)).collect();
        let used = |column: usize| column < 3 || rows.iter().any(|row| !row[column].is_empty());
        let used: Vec<usize> = (0..COLUMNS.len()).filter(|&c| used(c)).collect();
        let line =
            |cells: &dyn Fn(usize) -> String| used.iter().map(|&c| cells(c)).collect::<Vec<_>>().join(",") + "\r\n";
        let mut text = line(&|c| COLUMNS[c].into());
        for row in &rows {
            text += &line(&|c| quoted(&row[c]));
        }
        text
    }

    fn rows(&self, series: &str, form: &Form) -> Vec<[String; 7]> {
        let place = |x: f32| self.x_labels.iter().find(|p| p.0 == x).map(|p| p.1.clone()).unwrap_or_default();
        let row = |[x, y, x2, y2, value]: [Option<f32>; 5]| {
            let number = |v: Option<f32>| v.map(|v| v.to_string()).unwrap_or_default();
            [series.into(), number(x), number(y), number(x2), number(y2), number(value), x.map_or(String::new(), place)]
        };
        match form {
            Form::Line(p) | Form::Points(p) => {
                p.iter().map(|&[x, y]| row([Some(x), Some(y), None, None, None])).collect()
            }
            Form::Bars(b) => b.iter().map(|&[x, x2, y]| row([Some(x), Some(y), Some(x2), None, None])).collect(),
            Form::Segments(s) | Form::Arrows(s) => {
                s.iter().map(|&[x, y, x2, y2]| row([Some(x), Some(y), Some(x2), Some(y2), None])).collect()
            }
            &Form::HorizontalLine(y) => vec![row([None, Some(y), None, None, None])],
            &Form::VerticalLine(x) => vec![row([Some(x), None, None, None, None])],
            Form::Map(grid, _) => {
                grid.cells().map(|([x, y], v)| row([Some(x), Some(y), None, None, Some(v)])).collect()
            }
            Form::Regions(grid, names) => {
                let cell = |([x, y], class): ([f32; 2], usize)| {
                    let mut row = row([Some(x), Some(y), None, None, None]);
                    row[5] = names.get(class).cloned().unwrap_or_else(|| class.to_string());
                    row
                };
                grid.cells().map(cell).collect()
            }
        }
    }
}

impl Mark {
    /// Whether both have the same series name and the same points, as a line or as markers.
    fn has_same_points(&self, other: &Self) -> bool {
        let (Form::Line(a) | Form::Points(a), Form::Line(b) | Form::Points(b)) = (&self.form, &other.form) else {
            return false;
        };
        let bits = |points: &[[f32; 2]]| points.concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        self.series == other.series && bits(a) == bits(b)
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.into() }
}
