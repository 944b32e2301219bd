//! What logits or probabilities say, with one rule for ties: of equal classes the first counts, and a model that is right
//! only by a tie is wrong.

/// The likeliest class.
pub fn top(z: &[f32]) -> usize {
    (1..z.len()).fold(0, |best, j| if z[j] > z[best] { j } else { best })
}

/// The likeliest class other than `y`; `y` if there is no other.
pub fn rival(z: &[f32], y: usize) -> usize {
    let others = (0..z.len()).filter(|&j| j != y);
    others.reduce(|best, j| if z[j] > z[best] { j } else { best }).unwrap_or(y)
}

/// The likeliest class, as it counts for an image of class `label`: the label only if no other is as likely.
pub fn seen(z: &[f32], label: usize) -> usize {
    let other = rival(z, label);
    if z[label] > z[other] { label } else { other }
}

/// The classes from the likeliest to the least likely.
pub fn ranking(z: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..z.len()).collect();
    classes.sort_by(|&a, &b| z[b].total_cmp(&z[a]));
    classes
}
