//! Predicted classes of logits or probabilities. Ties: the first of equal classes is predicted, but a prediction that
//! is correct only because of a tie counts as wrong.

/// Returns the class with the highest value; the first one if there are several.
pub fn top(z: &[f32]) -> usize {
    (1..z.len()).fold(0, |best, j| if z[j] > z[best] { j } else { best })
}

/// Returns the class other than `y` with the highest value, or `y` if there is no other class.
pub fn rival(z: &[f32], y: usize) -> usize {
    let others = (0..z.len()).filter(|&j| j != y);
    others.reduce(|best, j| if z[j] > z[best] { j } else { best }).unwrap_or(y)
}

/// Returns the prediction for an image of class `label`: `label` only if its value is strictly the highest.
///
/// # Panics
/// If `label` is not an index of `z`.
pub fn seen(z: &[f32], label: usize) -> usize {
    let other = rival(z, label);
    if z[label] > z[other] { label } else { other }
}

/// Returns the classes in descending order of their values.
pub fn ranking(z: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..z.len()).collect();
    classes.sort_by(|&a, &b| z[b].total_cmp(&z[a]));
    classes
}
