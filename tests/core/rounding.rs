//! Rounding adversarial images to bytes: they stay inside the ball and fool the model if possible.

use burn::tensor::{Device, Tensor};
use otjr::{
    attack::{
        Error, Goal, ModelOracle, Norm, ThreatModel,
        rounding::{Rounded, change, round},
    },
    model::Classifier,
    random::{self, StreamId},
};

use crate::{ready, tests};

const N: usize = 3072;

/// Predicts class 1 if the mean of the pixels exceeds a threshold, in 255ths.
struct Above(f32);

impl Classifier for Above {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        let above = x.mean_dims(&[1, 2, 3]).reshape([-1, 1]).mul_scalar(255.0).sub_scalar(self.0);
        Tensor::cat(vec![above.zeros_like(), above], 1)
    }
}

fn rounded(model: &impl Classifier, original: &[u8], x_adv: &[f32], norm: Norm, epsilon: f32) -> Rounded {
    let query = ModelOracle::new(model, &Device::flex(), [3, 32, 32], 4);
    ready(round(&query, Goal::Untargeted(0), original, x_adv, &ThreatModel { norm, epsilon }, 5)).unwrap()
}

tests! {
    /// Rounding 103.4 to 103 does not fool the model. Rounding away from the original, to 104, does.
    fn where_the_nearest_bytes_do_not_fool_others_are_tried() {
        let (original, x_adv) = (vec![100; N], vec![103.4 / 255.0; N]);
        let far = rounded(&Above(103.2), &original, &x_adv, Norm::Linf, 4.0 / 255.0);
        assert!(far.fools(), "{}", far.margin);
        assert_eq!(far.pixels, vec![104; N]);
        assert!((far.margin - (103.2 - 104.0)).abs() < 1e-3, "{}", far.margin);
        // If 104 is outside the ball, the result is 103 and reported as not fooling the model.
        let near = rounded(&Above(103.2), &original, &x_adv, Norm::Linf, 3.9 / 255.0);
        assert_eq!((near.fools(), near.pixels), (false, vec![103; N]));
        // If the nearest bytes fool the model, they are used.
        assert_eq!(rounded(&Above(102.9), &original, &x_adv, Norm::Linf, 4.0 / 255.0).pixels, vec![103; N]);
    }

    /// In L2 not all pixels can be rounded away from the original.
    fn the_ball_is_kept_in_every_norm() {
        let mut rng = random::stream(3, StreamId::Attack, 9);
        let original: Vec<u8> = (0..N).map(|i| [0, 255, 3, 128, 250, 77][i % 6]).collect();
        let x: Vec<f32> = original.iter().map(|&v| f32::from(v) / 255.0).collect();
        for (norm, epsilon) in [(Norm::Linf, 8.0 / 255.0), (Norm::L2, 0.5), (Norm::L2, 1.37), (Norm::L1, 12.0)] {
            let threat = ThreatModel { norm, epsilon };
            for (x_adv, limit) in [threat.random_surface(&x, &mut rng), threat.random(&x, &mut rng)].into_iter().zip([0.0, 1e9]) {
                // With threshold 0 the model is always fooled, so the nearest bytes are used. With 1e9 it never is, and others are tried.
                let found = rounded(&Above(limit), &original, &x_adv, norm, epsilon);
                let d = found.pixels.iter().zip(&original).map(|(&a, &b)| f32::from(a) - f32::from(b));
                let size = norm.norm(d);
                assert!(size <= epsilon * 255.0 + 2e-3, "{norm} {epsilon}: {size}");
                assert!(size > 0.2 * epsilon * 255.0, "{norm} {epsilon}: {size} is too little");
                for (&byte, &v) in found.pixels.iter().zip(&x_adv) {
                    assert!((f32::from(byte) - 255.0 * v).abs() < 1.01, "{norm}: {byte} is not next to {}", 255.0 * v);
                }
                assert_eq!(rounded(&Above(limit), &original, &x_adv, norm, epsilon), found, "seeded");
            }
        }
    }

    /// Adversarial images on the edge of the ball that consist of whole 255ths do not change.
    fn whole_255ths_stay_as_they_are() {
        let original: Vec<u8> = (0..N).map(|i| (i * 7 % 256) as u8).collect();
        let moved = |b: u8, i: usize| if i.is_multiple_of(2) { b.saturating_add(8) } else { b.saturating_sub(8) };
        let after: Vec<u8> = original.iter().enumerate().map(|(i, &b)| moved(b, i)).collect();
        let x_adv: Vec<f32> = after.iter().map(|&v| f32::from(v) / 255.0).collect();
        assert_eq!(rounded(&Above(0.0), &original, &x_adv, Norm::Linf, 8.0 / 255.0).pixels, after);
    }

    fn a_change_can_be_undone() {
        for (largest, name) in [(0, "change-x127.png"), (1, "change-x127.png"), (8, "change-x15.png"), (127, "change-x1.png"), (200, "change-mod256.png")] {
            let before: Vec<u8> = (0..N).map(|i| (i % 256) as u8).collect();
            let after: Vec<u8> = before.iter().map(|&b| if b < 128 { b.saturating_add(largest) } else { b.saturating_sub(largest) }).collect();
            let change = change(&before, &after);
            assert_eq!(change.name(), name);
            for ((&b, &a), &c) in before.iter().zip(&after).zip(&change.pixels) {
                let d = i32::from(c) - 128;
                assert_eq!(d.rem_euclid(i32::from(change.factor)), 0);
                let undone = (i32::from(b) + d / i32::from(change.factor)).rem_euclid(256);
                assert_eq!(undone, i32::from(a), "{name}");
            }
        }
    }

    fn outputs_that_are_no_numbers_are_refused() {
        let query = ModelOracle::new(&Above(f32::NAN), &Device::flex(), [3, 32, 32], 4);
        let threat = ThreatModel { norm: Norm::Linf, epsilon: 0.1 };
        let refused = ready(round(&query, Goal::Untargeted(0), &[9; N], &[0.1; N], &threat, 0));
        assert_eq!(refused, Err(Error::NotFinite));
    }
}
