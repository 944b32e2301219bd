//! Values on a grid: runs of equal values, contour lines, positions of labels.

/// Rows of cells, starting at `x[0]` and `y[0]`. An incomplete last row is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid<T> {
    /// The outer edges along x.
    pub x: [f32; 2],
    /// The outer edges along y.
    pub y: [f32; 2],
    /// Number of columns.
    pub columns: usize,
    /// The values, row by row.
    pub values: Vec<T>,
}

/// Adjacent cells of a row with the same key.
pub(super) struct Run<K> {
    pub key: K,
    pub row: usize,
    /// The first column.
    pub start: usize,
    /// The column after the last.
    pub end: usize,
}

/// Where the label of a value has most room.
pub(super) struct LabelAnchor {
    pub value: usize,
    pub center: [f32; 2],
    /// Distance to other values and to the edges, in cells.
    pub distance: usize,
}

impl<T: Copy> Grid<T> {
    /// A grid of values at evenly spaced points from `x[0]` to `x[1]` and from `y[0]` to `y[1]`. The points are the centers of the
    /// cells.
    pub fn around(x: [f32; 2], y: [f32; 2], columns: usize, values: Vec<T>) -> Self {
        let wider = |[low, high]: [f32; 2], n: usize| {
            let half = (high - low) / (2 * n.max(2) - 2) as f32;
            [low - half, high + half]
        };
        let rows = values.len() / columns.max(1);
        Self { x: wider(x, columns), y: wider(y, rows), columns, values }
    }

    /// Number of complete rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// Whether the edges are finite.
    pub(super) fn is_placed(&self) -> bool {
        self.x.iter().chain(&self.y).all(|v| v.is_finite())
    }

    /// The point at `column` and `row`, in cells from the first corner.
    pub fn at(&self, column: f32, row: f32) -> [f32; 2] {
        let along = |[low, high]: [f32; 2], part: f32| low + (high - low) * part;
        [along(self.x, column / self.columns.max(1) as f32), along(self.y, row / self.rows().max(1) as f32)]
    }

    /// The centers and values of all cells.
    pub fn cells(&self) -> impl Iterator<Item = ([f32; 2], T)> {
        let center = |i: usize| self.at((i % self.columns) as f32 + 0.5, (i / self.columns) as f32 + 0.5);
        self.values.iter().take(self.rows() * self.columns).enumerate().map(move |(i, &v)| (center(i), v))
    }

    /// Runs of adjacent cells in a row with the same key.
    pub(super) fn runs<K: PartialEq>(&self, key: impl Fn(T) -> K) -> Vec<Run<K>> {
        let mut runs: Vec<Run<K>> = Vec::new();
        for (i, &value) in self.values.iter().take(self.rows() * self.columns).enumerate() {
            let (row, column, key) = (i / self.columns, i % self.columns, key(value));
            match runs.last_mut() {
                Some(last) if last.key == key && last.row == row => last.end = column + 1,
                _ => runs.push(Run { key, row, start: column, end: column + 1 }),
            }
        }
        runs
    }
}

impl Grid<f32> {
    /// The contour line of the values at `level`, as segments. Values are interpolated between the centers of the cells.
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
    /// For each value the center of a cell that is farthest from other values and from the edges.
    pub(super) fn label_anchors(&self) -> Vec<LabelAnchor> {
        let mut anchors: Vec<LabelAnchor> = Vec::new();
        for ((center, value), distance) in self.cells().zip(self.distances_to_boundary()) {
            let candidate = LabelAnchor { value, center, distance };
            match anchors.iter_mut().find(|anchor| anchor.value == value) {
                Some(anchor) if anchor.distance < distance => *anchor = candidate,
                Some(_) => {}
                None => anchors.push(candidate),
            }
        }
        anchors
    }

    /// For each cell the distance (L1, in cells) to the nearest cell with another value or outside the grid.
    fn distances_to_boundary(&self) -> Vec<usize> {
        let (columns, rows) = (self.columns, self.rows());
        let mut distances = vec![usize::MAX; rows * columns];
        // A distance transform in two passes over the grid: forward and backward.
        for forward in [true, false] {
            for n in 0..rows * columns {
                let i = if forward { n } else { rows * columns - 1 - n };
                let (c, r) = (i % columns, i / columns);
                let visited_neighbors = match forward {
                    true => [(c > 0).then(|| i - 1), (r > 0).then(|| i - columns)],
                    false => [(c + 1 < columns).then(|| i + 1), (r + 1 < rows).then(|| i + columns)],
                };
                let distance_of = |neighbor: Option<usize>| match neighbor {
                    Some(j) if self.values[j] == self.values[i] => distances[j],
                    _ => 0,
                };
                let nearest = visited_neighbors.map(distance_of).into_iter().min().unwrap_or(0);
                distances[i] = distances[i].min(1 + nearest);
            }
        }
        distances
    }
}
