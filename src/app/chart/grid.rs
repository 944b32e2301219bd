//! Values on a grid: where they are equal in a row, where they cross a level, where a region is widest.

/// Rows of cells, the first at `y[0]`, each from `x[0]` on. An incomplete last row is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid<T> {
    /// Outer edges.
    pub x: [f32; 2],
    pub y: [f32; 2],
    pub columns: usize,
    pub values: Vec<T>,
}

impl<T: Copy> Grid<T> {
    /// A grid of values that were taken from `x[0]` to `x[1]` and from `y[0]` to `y[1]`, both included: cells around them.
    pub fn around(x: [f32; 2], y: [f32; 2], columns: usize, values: Vec<T>) -> Self {
        let wider = |[low, high]: [f32; 2], n: usize| {
            let half = (high - low) / (2 * n.max(2) - 2) as f32;
            [low - half, high + half]
        };
        let rows = values.len() / columns.max(1);
        Self { x: wider(x, columns), y: wider(y, rows), columns, values }
    }

    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// Whether its edges are finite.
    pub(super) fn is_placed(&self) -> bool {
        self.x.iter().chain(&self.y).all(|v| v.is_finite())
    }

    /// The point at `column` and `row`, both counted in cells from the lower left corner.
    pub fn at(&self, column: f32, row: f32) -> [f32; 2] {
        let along = |[low, high]: [f32; 2], part: f32| low + (high - low) * part;
        [along(self.x, column / self.columns.max(1) as f32), along(self.y, row / self.rows().max(1) as f32)]
    }

    /// Cells with their middles.
    pub fn cells(&self) -> impl Iterator<Item = ([f32; 2], T)> {
        let middle = |i: usize| self.at((i % self.columns) as f32 + 0.5, (i / self.columns) as f32 + 0.5);
        self.values.iter().take(self.rows() * self.columns).enumerate().map(move |(i, &v)| (middle(i), v))
    }

    /// Neighbors in a row with the same key: key, row, first column, column after the last.
    pub(super) fn runs<K: PartialEq>(&self, key: impl Fn(T) -> K) -> Vec<(K, usize, usize, usize)> {
        let mut runs: Vec<(K, usize, usize, usize)> = Vec::new();
        for (i, &value) in self.values.iter().take(self.rows() * self.columns).enumerate() {
            let (row, column, key) = (i / self.columns, i % self.columns, key(value));
            match runs.last_mut() {
                Some(last) if last.0 == key && last.1 == row => last.3 = column + 1,
                _ => runs.push((key, row, column, column + 1)),
            }
        }
        runs
    }
}

impl Grid<f32> {
    /// Where the values, taken in the middles of the cells and linear between, cross `level`: segments.
    pub fn contour(&self, level: f32) -> Vec<[f32; 4]> {
        let mut segments = Vec::new();
        let value = |c: usize, r: usize| self.values[r * self.columns + c];
        for r in 1..self.rows() {
            for c in 1..self.columns {
                let corners = [(c - 1, r - 1), (c, r - 1), (c, r), (c - 1, r)];
                if corners.iter().any(|&(c, r)| !value(c, r).is_finite()) {
                    continue;
                }
                let crossing = |i: usize| {
                    let ((c0, r0), (c1, r1)) = (corners[i], corners[(i + 1) % 4]);
                    let (a, b) = (value(c0, r0) - level, value(c1, r1) - level);
                    let part = a / (a - b);
                    let between = |from: usize, to: usize| from as f32 + 0.5 + part * (to as f32 - from as f32);
                    ((a < 0.0) != (b < 0.0)).then(|| self.at(between(c0, c1), between(r0, r1)))
                };
                let points: Vec<[f32; 2]> = (0..4).filter_map(crossing).collect();
                segments.extend(points.chunks_exact(2).map(|p| [p[0][0], p[0][1], p[1][0], p[1][1]]));
            }
        }
        segments
    }
}

impl Grid<usize> {
    /// For each value the middle of a cell that is as far as any from other values and from the edges, and how far, in cells.
    pub(super) fn label_anchors(&self) -> Vec<(usize, [f32; 2], usize)> {
        let (columns, rows) = (self.columns, self.rows());
        let mut depth = vec![usize::MAX; rows * columns];
        // Twice over the grid: from the first corner to the last, and back.
        for forth in [true, false] {
            for n in 0..rows * columns {
                let i = if forth { n } else { rows * columns - 1 - n };
                let (c, r) = (i % columns, i / columns);
                let sides = match forth {
                    true => [(c > 0).then(|| i - 1), (r > 0).then(|| i - columns)],
                    false => [(c + 1 < columns).then(|| i + 1), (r + 1 < rows).then(|| i + columns)],
                };
                let beside = |side: Option<usize>| match side {
                    Some(j) if self.values[j] == self.values[i] => depth[j],
                    _ => 0,
                };
                depth[i] = depth[i].min(1 + sides.map(beside).into_iter().min().unwrap_or(0));
            }
        }
        let mut label_anchors: Vec<(usize, [f32; 2], usize)> = Vec::new();
        for ((middle, value), depth) in self.cells().zip(depth) {
            match label_anchors.iter_mut().find(|h| h.0 == value) {
                Some(anchor) if anchor.2 < depth => *anchor = (value, middle, depth),
                Some(_) => {}
                None => label_anchors.push((value, middle, depth)),
            }
        }
        label_anchors
    }
}
