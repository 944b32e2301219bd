//! Losses in closed form, and gradients by finite differences.

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    batch::{Batch, one_hot},
    loss::{
        Objective, ObjectiveConfig,
        cross_entropy::{cross_entropy, kl_divergence, logit_pairing},
        objective::{Directions, compute},
        sinkhorn,
        sliced_wasserstein::{directions, projections, sliced_wasserstein},
    },
    model::{Model, parameter::NamedTensor},
    random::{self, StreamId},
};

use crate::{ready, relative_error, tests, uniform, values};

fn matrix<const R: usize, const C: usize>(rows: [[f32; C]; R]) -> Tensor<2> {
    Tensor::from_data(TensorData::from(rows), &Device::flex())
}

fn scalar(tensor: Tensor<1>) -> f32 {
    values(&tensor)[0]
}

tests! {
    fn cross_entropy_of_known_odds() {
        let z = matrix([[0.0, 3f32.ln()], [0.0, 3f32.ln()]]);
        let y = one_hot(&[0, 1], 2, &Device::flex());
        // Probabilities 1/4 and 3/4.
        let expected = (4f32.ln() + (4f32 / 3.0).ln()) / 2.0;
        assert!((scalar(cross_entropy(z, y)) - expected).abs() < 1e-6);
    }

    fn cross_entropy_of_huge_logits_is_finite() {
        let z = matrix([[1e4, -1e4], [-1e4, 1e4]]);
        assert_eq!(scalar(cross_entropy(z.clone(), one_hot(&[0, 1], 2, &Device::flex()))), 0.0);
        assert_eq!(scalar(cross_entropy(z, one_hot(&[1, 0], 2, &Device::flex()))), 2e4);
    }

    fn divergences_vanish_between_equals_only() {
        let (z, a) = (uniform(1, [6, 5], -2.0, 2.0), uniform(2, [6, 5], -2.0, 2.0));
        for divergence in [kl_divergence, logit_pairing, sinkhorn::divergence] {
            assert!(scalar(divergence(z.clone(), z.clone())).abs() < 1e-6);
            assert!(scalar(divergence(z.clone(), a.clone())) > 0.1);
        }
    }

    /// In one dimension optimal transport matches by rank: 1 -> 0, 2 -> 2, 5 -> 4.
    fn transport_of_a_line() {
        let z = matrix([[4.0, 7.0], [0.0, 7.0], [2.0, 7.0]]);
        let a = matrix([[1.0, 7.0], [2.0, 7.0], [5.0, 7.0]]);
        let transport = sliced_wasserstein(z, a, matrix([[1.0], [0.0]]));
        assert!((scalar(transport.value.clone()) - (1.0 + 0.0 + 1.0) / 3.0).abs() < 1e-6);
        assert_eq!(values(&transport.movement), [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
        // An image that does not move has direction 0, not NaN.
        assert_eq!(values(&transport.direction()), [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
    }

    /// The distance compares sets: the order of the batch has no influence, even with ties.
    fn transport_ignores_order() {
        let z = matrix([[1.0, 2.0], [1.0, 2.0], [3.0, -1.0], [0.0, 0.0]]);
        let shuffled = matrix([[3.0, -1.0], [1.0, 2.0], [0.0, 0.0], [1.0, 2.0]]);
        let theta = projections(&mut random::stream(0, StreamId::Directions, 0), 2, 7, &Device::flex());
        assert_eq!(scalar(sliced_wasserstein(z, shuffled, theta).value), 0.0);
    }

    fn directions_are_unit_rows() {
        let rows = directions(&mut random::stream(0, StreamId::Directions, 1), 50, 10, &Device::flex());
        for length in values(&rows.square().sum_dim(1).sqrt()) {
            assert!((length - 1.0).abs() < 1e-6);
        }
    }

    /// Compares each objective's gradient with central differences. The Jacobian terms need second derivatives, which burn's
    /// autodiff does not compute. The check is done for all parameters, and for the last layer alone. In that case no other
    /// parameter has a gradient and the running statistics do not change.
    fn parameter_gradients_are_derivatives() {
        let device = Device::flex();
        // Only objectives with fixed directions. The directions of the transport depend on the parameters but are not
        // differentiated.
        let config = ObjectiveConfig { lambda_jac: 0.5, lambda_sw: 8.0, ..ObjectiveConfig::default() };
        let model = Model::new("wrn-10-1".parse().unwrap(), 3, None, 11, &device).unwrap();
        let batch = Batch { x: uniform(3, [4, 3, 32, 32], 0.0, 1.0), y: one_hot(&[0, 2, 1, 1], 3, &device) };
        let x_adv = uniform(4, [4, 3, 32, 32], -0.03, 0.03) + batch.x.clone();
        let draw = Directions::draw(&mut random::stream(1, StreamId::Directions, 0), 4, 3, 6, &device);
        let fixed = Objective::ALL.iter().copied().filter(|o| !matches!(o, Objective::SwJac | Objective::Otjr));
        for (objective, head_only) in fixed.flat_map(|objective| [(objective, false), (objective, true)]) {
            let loss = |model: &Model| compute(objective, &config, model, &batch, &x_adv, &draw, head_only);
            let mut evaluation = loss(&model);
            let mut gradients = evaluation.loss.backward();
            // In the direction of the gradient the derivative is the squared norm of the gradient.
            let gradient: Vec<_> =
                evaluation.model.named_tensors().iter().map(|slot| slot.gradient(&mut gradients)).collect();
            let learned = gradient.iter().flatten().count();
            assert_eq!(learned, if head_only { 2 } else { evaluation.model.named_tensors().iter().filter(|s| s.learned()).count() });
            let square: f32 = gradient.iter().flatten().map(|g| values(g).iter().map(|v| v * v).sum::<f32>()).sum();
            let moved = |h: f32| {
                let mut model = model.clone();
                for (slot, gradient) in model.named_tensors().into_iter().zip(&gradient) {
                    if let Some(gradient) = gradient {
                        slot.set_flat(slot.flat() + gradient.clone().mul_scalar(h / square.sqrt()));
                    }
                }
                scalar(loss(&model).loss)
            };
            let h = 4e-3;
            let difference = (moved(h) - moved(-h)) / (2.0 * h);
            let expected = square.sqrt();
            assert!((difference / expected - 1.0).abs() < 0.03, "{objective} {head_only}: {difference} is not {expected}");
            if head_only {
                let mut after = model.clone();
                evaluation.passes.into_iter().for_each(|pass| after.update_running(pass));
                assert_eq!(ready(after.arrays()).unwrap(), ready(model.arrays()).unwrap());
            }
        }
    }

    /// The gradient of otjr equals the sum of the gradients of its three terms, which are computed separately.
    fn otjr_is_the_sum_of_its_terms() {
        let device = Device::flex();
        let model = Model::new("wrn-10-1".parse().unwrap(), 3, None, 12, &device).unwrap();
        let batch = Batch { x: uniform(5, [4, 3, 32, 32], 0.0, 1.0), y: one_hot(&[0, 2, 1, 1], 3, &device) };
        let x_adv = uniform(6, [4, 3, 32, 32], -0.03, 0.03) + batch.x.clone();
        let draw = Directions::draw(&mut random::stream(2, StreamId::Directions, 0), 4, 3, 6, &device);
        let gradient = |objective, lambda_jac, head_only| {
            let config = ObjectiveConfig { lambda_jac, ..ObjectiveConfig::default() };
            let mut evaluation = compute(objective, &config, &model, &batch, &x_adv, &draw, head_only);
            let mut gradients = evaluation.loss.backward();
            let flat = |slot: &&mut dyn NamedTensor| slot.gradient(&mut gradients).map_or(Vec::new(), |g| values(&g));
            evaluation.model.named_tensors().iter().flat_map(flat).collect::<Vec<f32>>()
        };
        for head_only in [false, true] {
            let of = |objective| gradient(objective, 0.3, head_only);
            let [otjr, sw, sw_jac, ce] = [Objective::Otjr, Objective::Sw, Objective::SwJac, Objective::Ce].map(of);
            let sum: Vec<f32> = (0..otjr.len()).map(|i| sw[i] + sw_jac[i] - ce[i]).collect();
            assert!(!otjr.is_empty(), "{head_only}");
            assert!(relative_error(&sum, &otjr) < 1e-3, "{head_only}");
        }
    }
}
