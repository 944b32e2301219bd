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

/// What a view shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// One to three sentences; empty while there is nothing to say.
    pub words: String,
    pub charts: Vec<Chart>,
}

/// The axes of a plane, with what they hold of the points' spread.
pub fn axes(plane: &PrincipalPlane) -> [Axis; 2] {
    let axis = |which: &str, part: f32| Axis::new(&format!("{which} axis, {} of the variance", share(part)), "");
    [axis("first", plane.explained[0]), axis("second", plane.explained[1])]
}

/// The middle value of those that are finite.
pub fn median(values: impl IntoIterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.into_iter().filter(|v| v.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    let n = values.len();
    (n > 0).then(|| (values[(n - 1) / 2] + values[n / 2]) / 2.0)
}
