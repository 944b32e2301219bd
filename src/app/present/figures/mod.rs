//! Figures: charts with a caption that states the result for this image. One kind of figure a file.

pub mod attack_trace;
pub mod embedding;
pub mod jacobian;
pub mod layer_shift;
pub mod loss_landscape;
pub mod margin_vs_radius;
pub mod training_curves;
pub mod transport;

use crate::{
    app::{
        chart::{Axis, Chart},
        domain::format::share,
    },
    explore::pca::PrincipalPlane,
};

/// A caption with its charts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// One to three sentences; empty if there are no results.
    pub caption: String,
    /// The charts.
    pub charts: Vec<Chart>,
}

/// The axes of a principal plane, with the explained variance.
pub fn axes(plane: &PrincipalPlane) -> [Axis; 2] {
    let axis =
        |name: &str, explained: f32| Axis::new(&format!("{name} axis, {} of the variance", share(explained)), "");
    [axis("first", plane.explained[0]), axis("second", plane.explained[1])]
}

/// The median of the finite values.
pub fn median(values: impl IntoIterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    let n = values.len();
    if n == 0 {
        return None;
    }
    Some((values[(n - 1) / 2] + values[n / 2]) / 2.0)
}
