//! The numbers in a chart, as a table.

use super::{Chart, Form, Mark};

const COLUMNS: [&str; 7] = ["series", "x", "y", "x2", "y2", "value", "place"];

impl Chart {
    /// Comma-separated values (RFC 4180), numbers in full precision: series, x, y; where there are any also the other end
    /// of segments (x2, y2; of bars x2 alone), values of maps, and names of places along x.
    pub fn csv(&self) -> String {
        // Points on a line are the line's own: once is enough.
        let told = |i: usize| self.marks[..i].iter().any(|m| m.tells_the_same(&self.marks[i]));
        let marks = self.marks.iter().enumerate().filter(|&(i, _)| !told(i)).map(|(_, mark)| mark);
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
        let place = |x: f32| self.places.iter().find(|p| p.0 == x).map(|p| p.1.clone()).unwrap_or_default();
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
            &Form::Level(y) => vec![row([None, Some(y), None, None, None])],
            &Form::Upright(x) => vec![row([Some(x), None, None, None, None])],
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
    /// The same points of the same series, drawn as a line or one by one.
    fn tells_the_same(&self, other: &Self) -> bool {
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
