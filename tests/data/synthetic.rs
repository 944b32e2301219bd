use otjr::data::{IMAGE_LEN, ImageSet, synthetic};
use otjr::random::{StreamId, normal, stream};

use super::hash;

/// The bytes are the same on every platform. If this test fails, the data set has changed and reported accuracies are
/// invalid.
#[test]
fn the_first_images_are_unchanged() {
    let splits = synthetic::generate(0, 100, 100);
    assert_eq!(hash(&splits.train.pixels), 0x1332_720e_5352_22f0);
    assert_eq!(hash(&splits.test.pixels), 0x2974_a48d_e033_cc2b);
}

/// The labels of this set repeat every ten images.
#[test]
fn samples_are_stratified() {
    let mut set = synthetic::generate(0, 200, 0).train;
    let each =
        |images: &ImageSet| (0..10).map(|c| images.labels.iter().filter(|&&l| l == c).count()).collect::<Vec<_>>();
    assert_eq!(each(&set.stratified_sample(20)), [2; 10]);
    let whole = set.clone();
    let aside = set.split_off_stratified(40);
    assert_eq!((each(&aside), each(&set)), (vec![4; 10], vec![16; 10]));
    assert_eq!(aside.image(0), whole.image(0), "the original order is kept");
    assert_eq!(set.subsample(16).labels, set.labels.iter().copied().step_by(10).collect::<Vec<_>>());
}

#[test]
fn labels_are_balanced_and_splits_share_nothing() {
    let splits = synthetic::generate(5, 200, 100);
    for (set, each) in [(&splits.train, 20), (&splits.test, 10)] {
        assert_eq!(set.classes.len(), 10);
        assert_eq!(set.pixels.len(), set.len() * IMAGE_LEN);
        for label in 0..10 {
            assert_eq!(set.labels.iter().filter(|&&l| l == label).count(), each);
        }
    }
    let train: std::collections::HashSet<&[u8]> = splits.train.pixels.chunks(IMAGE_LEN).collect();
    assert_eq!(train.len(), 200);
    assert!(splits.test.pixels.chunks(IMAGE_LEN).all(|image| !train.contains(image)));
    assert_ne!(synthetic::generate(6, 1, 0).train.pixels, splits.train.image(0));
}

#[test]
fn a_longer_set_starts_with_the_shorter() {
    let (short, long) = (synthetic::generate(2, 7, 3), synthetic::generate(2, 9, 5));
    assert!(long.train.pixels.starts_with(&short.train.pixels));
    assert!(long.test.pixels.starts_with(&short.test.pixels));
}

#[test]
fn a_single_test_image_equals_that_of_the_set() {
    let set = synthetic::generate(0, 0, 13).test;
    assert_eq!(synthetic::test_image(12), set.select(&[12]));
}

/// Softmax regression on the raw pixels must not suffice for this data set.
#[test]
fn a_linear_classifier_stays_far_below_60_percent() {
    let splits = synthetic::generate(0, 10_000, 1_000);
    let rows = |set: &ImageSet| -> Vec<f32> { set.pixels.iter().map(|&v| f32::from(v) / 255.0 - 0.5).collect() };
    let (train, test) = (rows(&splits.train), rows(&splits.test));
    let mut weights = normal(&mut stream(0, StreamId::Weights, 0), 10 * IMAGE_LEN);
    weights.iter_mut().for_each(|w| *w *= 0.01);
    let mut bias = [0.0f32; 10];
    let logits = |weights: &[f32], bias: &[f32; 10], x: &[f32]| -> Vec<f32> {
        let dot = |w: &[f32]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
        weights.chunks(IMAGE_LEN).zip(bias).map(|(w, b)| dot(w) + b).collect()
    };
    let accuracy = |weights: &[f32], bias: &[f32; 10], x: &[f32], labels: &[u16]| {
        let right = x.chunks(IMAGE_LEN).zip(labels).filter(|(x, label)| {
            let z = logits(weights, bias, x);
            z.iter().all(|&v| v <= z[usize::from(**label)])
        });
        right.count() as f32 / labels.len() as f32
    };
    for epoch in 0..6 {
        let rate = 0.002 / (1.0 + epoch as f32);
        for (x, &label) in train.chunks(IMAGE_LEN).zip(&splits.train.labels) {
            let z = logits(&weights, &bias, x);
            let top = z.iter().copied().fold(f32::MIN, f32::max);
            let total: f32 = z.iter().map(|v| (v - top).exp()).sum();
            for (class, w) in weights.chunks_mut(IMAGE_LEN).enumerate() {
                let target = if class == usize::from(label) { 1.0 } else { 0.0 };
                let step = rate * ((z[class] - top).exp() / total - target);
                w.iter_mut().zip(x).for_each(|(w, x)| *w -= step * x);
                bias[class] -= step;
            }
        }
    }
    let (fitted, judged) = (
        accuracy(&weights, &bias, &train, &splits.train.labels),
        accuracy(&weights, &bias, &test, &splits.test.labels),
    );
    assert!(fitted > 0.2, "it did not learn: {fitted} on its own training images");
    assert!(judged < 0.4, "{judged} on the test images");
}
