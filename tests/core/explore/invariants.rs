//! Properties that hold for any model and image, and cases with closed-form solutions.

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    attack::{AttackBatch, AttackConfig, AttackKind, Error, Goal, Loss, ModelOracle, Norm},
    explore::{
        embedding::{Bounds, DecisionRegions, Embedding, latents},
        jacobian::{random_directions, response},
        landscape::{LandscapePlane, LandscapeValues},
        layers::{channel_maps, layer_shifts},
        margin_curve::{MarginPoint, attack_at_radius, critical_radius},
        pca::PrincipalPlane,
        transport::{compute_transport, projections},
    },
    loss::sliced_wasserstein::sliced_wasserstein,
    model::{Classifier, Model, Pass},
    settings::Pixels,
};

use super::{N, query};
use crate::{ready, relative_error, tests, uniform, values};

fn net(name: &str) -> Model {
    Model::new(name.parse().unwrap(), 4, None, 21, &Device::flex()).unwrap()
}

fn images(seed: u64, n: usize) -> Vec<f32> {
    values(&uniform(seed, [n * N], 0.1, 0.9))
}

fn attacked(x: &[f32]) -> Vec<f32> {
    let noise = values(&uniform(33, [x.len()], -0.03, 0.03));
    x.iter().zip(noise).map(|(x, d)| x + d).collect()
}

fn matrix(values: &[f32], columns: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / columns, columns]), &Device::flex())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}

fn logits(model: &Model, x: &[f32]) -> Vec<f32> {
    ready(query(model).logits(x)).unwrap().rows().flatten().copied().collect()
}

fn assert_orthonormal(plane: &PrincipalPlane) {
    let [a, b] = &plane.axes;
    for (product, expected) in [(dot(a, a), 1.0), (dot(b, b), 1.0), (dot(a, b), 0.0)] {
        assert!((product - expected).abs() < 1e-5, "{product}");
    }
    for axis in &plane.axes {
        let largest = axis.iter().copied().reduce(|l, v| if v.abs() > l.abs() { v } else { l }).unwrap();
        assert!(largest > 0.0, "{axis:?}");
    }
}

tests! {
    fn layers_have_names_and_shapes() {
        let x = images(1, 1);
        let layers = |name: &str| -> Vec<(String, [usize; 3])> {
            let shifts = ready(layer_shifts(&net(name), &Device::flex(), &x, &x)).unwrap();
            shifts.into_iter().map(|s| (s.name, s.shape)).collect()
        };
        let expected = |rows: &[(&str, [usize; 3])]| rows.iter().map(|(n, s)| (n.to_string(), *s)).collect::<Vec<_>>();
        assert_eq!(layers("wrn-10-1"), expected(&[
            ("pixels", [3, 32, 32]),
            ("conv1", [16, 32, 32]),
            ("block1.layer.0", [16, 32, 32]),
            ("block2.layer.0", [32, 16, 16]),
            ("block3.layer.0", [64, 8, 8]),
            ("bn1", [64, 8, 8]),
            ("latent", [64, 1, 1]),
            ("logits", [4, 1, 1]),
        ]));
        let resnet = [
            ("pixels", [3, 32, 32]),
            ("conv1", [4, 32, 32]),
            ("layer1.0", [4, 32, 32]),
            ("layer1.1", [4, 32, 32]),
            ("layer2.0", [8, 16, 16]),
            ("layer2.1", [8, 16, 16]),
            ("layer3.0", [16, 8, 8]),
            ("layer3.1", [16, 8, 8]),
            ("layer4.0", [32, 4, 4]),
            ("layer4.1", [32, 4, 4]),
            ("latent", [32, 1, 1]),
            ("logits", [4, 1, 1]),
        ];
        assert_eq!(layers("resnet-18-w4"), expected(&resnet));
        let mut activated = resnet.to_vec();
        activated.insert(10, ("bn", [32, 4, 4]));
        assert_eq!(layers("preact-resnet-18-w4"), expected(&activated));
    }

    /// The latent is the pooled last activation, and the last layer computes the logits from it.
    fn a_recording_pass_changes_nothing() {
        for name in ["wrn-10-1", "resnet-18-w4", "preact-resnet-18-w4"] {
            let (model, x) = (net(name), uniform(2, [2, 3, 32, 32], 0.0, 1.0));
            let (mut plain, mut recording) = (Pass::inference(), Pass::recording());
            let output = model.forward(x.clone(), &mut plain);
            let recorded = model.forward(x, &mut recording);
            assert!(plain.activations.is_empty());
            assert_eq!(values(&output.logits.value), values(&recorded.logits.value));
            assert_eq!(values(&model.classify(output.latent.value.clone()).value), values(&output.logits.value));
            let (_, last) = recording.activations.pop().unwrap();
            assert!(values(&last).iter().all(|v| *v >= 0.0));
            let [b, l] = output.latent.value.dims();
            let pooled = last.mean_dims(&[2, 3]).reshape([b, l]);
            assert!(relative_error(&values(&pooled), &values(&output.latent.value)) < 1e-6);
        }
    }

    fn equal_images_have_no_shift() {
        let x = images(3, 1);
        for shift in ready(layer_shifts(&net("wrn-10-1"), &Device::flex(), &x, &x)).unwrap() {
            assert!(shift.relative_l2.unwrap() < 1e-6, "{shift:?}");
            assert!(shift.cosine.unwrap() > 1.0 - 1e-6, "{shift:?}");
        }
        // No relative change for a black image.
        let shifts = ready(layer_shifts(&net("wrn-10-1"), &Device::flex(), &vec![0.0; N], &x)).unwrap();
        assert_eq!((shifts[0].relative_l2, shifts[0].cosine), (None, None));
    }

    fn maps_add_up_to_the_shift() {
        let (model, x) = (net("wrn-10-1"), images(4, 1));
        let x_adv = attacked(&x);
        let shifts = ready(layer_shifts(&model, &Device::flex(), &x, &x_adv)).unwrap();
        for shift in shifts {
            let all = ready(channel_maps(&model, &Device::flex(), &x, &x_adv, &shift.name, usize::MAX)).unwrap();
            assert_eq!((all.shape, all.channels.len()), (shift.shape, shift.shape[0]));
            let square = |of: &dyn Fn(&otjr::explore::layers::ChannelMap) -> f32| all.channels.iter().map(of).sum::<f32>();
            let relative = (square(&|c| c.difference.powi(2)) / square(&|c| dot(&c.clean, &c.clean))).sqrt();
            assert!((relative / shift.relative_l2.unwrap() - 1.0).abs() < 1e-4, "{} {relative}", shift.name);
            assert!(all.channels.is_sorted_by(|a, b| a.difference >= b.difference));
            let some = ready(channel_maps(&model, &Device::flex(), &x, &x_adv, &shift.name, 2)).unwrap();
            assert_eq!(some.channels, all.channels[..2]);
        }
        let pixels = ready(channel_maps(&model, &Device::flex(), &x, &x_adv, "pixels", 3)).unwrap();
        for channel in pixels.channels {
            let at = channel.index * 1024..(channel.index + 1) * 1024;
            assert_eq!((&channel.clean[..], &channel.adversarial[..]), (&x[at.clone()], &x_adv[at]));
        }
        let error = ready(channel_maps(&model, &Device::flex(), &x, &x_adv, "block4", 2)).unwrap_err().to_string();
        assert!(error.contains("block4"), "{error}");
        assert!(error.contains("block3.layer.0"), "{error}");
        assert!(matches!(ready(channel_maps(&model, &Device::flex(), &x, &images(4, 2), "pixels", 2)), Err(Error::Unsuited(_))));
    }

    /// A cross with arms of length 4 along one direction and 2 along the other.
    fn a_plane_of_known_axes() {
        let (long, short) = ([0.6f32, 0.0, -0.8], [0.8f32, 0.0, 0.6]);
        let point = |s: f32, t: f32| [0, 1, 2].map(|j| 5.0 + s * long[j] + t * short[j]);
        let points = [point(4.0, 0.0), point(-4.0, 0.0), point(0.0, 2.0), point(0.0, -2.0)].concat();
        let plane = PrincipalPlane::fit(&points, 3).unwrap();
        assert_orthonormal(&plane);
        assert!(relative_error(&plane.axes[0], &[-0.6, 0.0, 0.8]) < 1e-6);
        assert!(relative_error(&plane.axes[1], &short) < 1e-6);
        assert!(relative_error(&plane.explained, &[0.8, 0.2]) < 1e-6);
        assert!(relative_error(plane.project(&points).as_flattened(), &[-4.0, 0.0, 4.0, 0.0, 0.0, 2.0, 0.0, -2.0]) < 1e-6);
        assert!(relative_error(&plane.unproject([-4.0, 0.0]), &points[..3]) < 1e-6);
    }

    /// More dimensions than the iterated subspace has, and eigenvalues close to each other.
    fn a_plane_of_nearly_isotropic_points() {
        let (n, l) = (60, 40);
        let points = values(&uniform(5, [n * l], -1.0, 1.0));
        let plane = PrincipalPlane::fit(&points, l).unwrap();
        assert_orthonormal(&plane);
        let centered: Vec<Vec<f32>> =
            points.chunks(l).map(|p| p.iter().zip(&plane.mean).map(|(v, m)| v - m).collect()).collect();
        let total: f32 = centered.iter().map(|p| dot(p, p)).sum();
        for (axis, share) in plane.axes.iter().zip(plane.explained) {
            // C q = lambda q.
            let mut image = vec![0.0; l];
            for p in &centered {
                let along = dot(p, axis);
                image.iter_mut().zip(p).for_each(|(y, v)| *y += along * v / total);
            }
            let expected: Vec<f32> = axis.iter().map(|v| share * v).collect();
            assert!(relative_error(&image, &expected) < 1e-4);
        }
        assert!(plane.explained[0] > plane.explained[1]);
        assert!(plane.explained[1] > 1.0 / l as f32);
    }

    fn a_plane_of_degenerate_points() {
        for points in [vec![1.0; 3 * 40], vec![2.0, 3.0], vec![0.0; 40]] {
            let l = points.len().min(40);
            let plane = PrincipalPlane::fit(&points, l).unwrap();
            assert_orthonormal(&plane);
            assert_eq!(plane.explained, [0.0, 0.0]);
        }
        assert!(matches!(PrincipalPlane::fit(&[], 3), Err(Error::Unsuited(_))));
        assert!(matches!(PrincipalPlane::fit(&[1.0, 2.0, 3.0], 1), Err(Error::Unsuited(_))));
        assert_eq!(PrincipalPlane::fit(&[1.0, f32::NAN], 2), Err(Error::NotFinite));
    }

    fn an_embedding_contains_its_images() {
        let (model, x, device) = (net("wrn-10-1"), images(6, 5), Device::flex());
        let embedding = ready(Embedding::new(&model, &device, &x, &[0, 1, 2, 3, 0], 8)).unwrap();
        let DecisionRegions { bounds, side, classes } = &embedding.regions;
        assert!(embedding.points.iter().all(|&point| bounds.contains(point)));
        let again = ready(embedding.project(&model, &device, &x[N..2 * N])).unwrap();
        assert!(relative_error(&again[0], &embedding.points[1]) < 1e-4);
        // A region that consists of a single point has the class that the last layer predicts there.
        assert_eq!((*side, classes.len()), (8, 64));
        let lifted: Vec<f32> = embedding.points.iter().flat_map(|&point| embedding.plane.unproject(point)).collect();
        let z = values(&model.classify(matrix(&lifted, 64)).value);
        for (&point, z) in embedding.points.iter().zip(z.chunks(4)) {
            let bounds = Bounds { low: point, high: point };
            let region = ready(DecisionRegions::new(&model, &device, &embedding.plane, bounds, 1)).unwrap();
            assert!(z.iter().all(|v| *v <= z[region.classes[0] as usize] + 1e-5));
        }
        let other = net("resnet-18-w4");
        assert!(matches!(ready(embedding.project(&other, &device, &x)), Err(Error::Unsuited(_))));
        assert!(matches!(ready(Embedding::new(&model, &device, &x, &[0], 8)), Err(Error::Unsuited(_))));
        assert_eq!(ready(latents(&model, &device, &x)).unwrap().len(), 5 * 64);
    }

    fn the_transport_matches_the_loss() {
        let (b, c, k) = (9, 4, 12);
        let [z, a] = [7, 8].map(|seed| values(&uniform(seed, [b * c], -2.0, 2.0)));
        let theta = ready(projections(3, c, k, &Device::flex())).unwrap();
        let ours = compute_transport(&z, &a, &theta, c).unwrap();
        let loss = sliced_wasserstein(matrix(&z, c), matrix(&a, c), matrix(&theta, k));
        assert!(relative_error(&[ours.value], &values(&loss.value)) < 1e-5);
        let movement: Vec<f32> = ours.movement.iter().map(|m| m * k as f32).collect();
        assert!(relative_error(&movement, &values(&loss.movement)) < 1e-5);
        assert!(relative_error(&ours.direction, &values(&loss.direction())) < 1e-5);

        assert!((ours.projections.iter().map(|p| p.share).sum::<f32>() - 1.0).abs() < 1e-5);
        assert!((ours.projections[k - 1].cumulative - ours.value).abs() < 1e-6);
        assert_eq!(ours.projections[0].cumulative, ours.projections[0].mean_square);
        for projection in &ours.projections {
            let deltas = projection.clean.iter().zip(&projection.adversarial).map(|(c, a)| (c.value - a.value).powi(2));
            assert!((deltas.sum::<f32>() / b as f32 - projection.mean_square).abs() < 1e-5);
            for (logits, marks) in [(&z, &projection.clean), (&a, &projection.adversarial)] {
                assert!(marks.is_sorted_by(|a, b| a.value <= b.value));
                for mark in marks {
                    let row = &logits[mark.image * c..(mark.image + 1) * c];
                    assert!((dot(row, &projection.theta) - mark.value).abs() < 1e-5);
                }
            }
        }
        let to: Vec<f32> = a.iter().zip(&ours.movement).map(|(a, m)| a + m).collect();
        for ((arrow, row), to) in ours.arrows.iter().zip(a.chunks(c)).zip(to.chunks(c)) {
            assert_eq!(arrow.adversarial, ours.plane.project(row)[0]);
            assert_eq!(arrow.to, ours.plane.project(to)[0]);
        }
    }

    fn equal_logits_need_no_transport() {
        let z = values(&uniform(9, [20], -2.0, 2.0));
        let theta = ready(projections(3, 4, 5, &Device::flex())).unwrap();
        let still = compute_transport(&z, &z, &theta, 4).unwrap();
        assert_eq!(still.value, 0.0);
        assert!(still.movement.iter().chain(&still.direction).all(|v| *v == 0.0));
        assert!(still.projections.iter().all(|p| p.share == 0.0));
        assert!(matches!(compute_transport(&z, &z[4..], &theta, 4), Err(Error::Unsuited(_))));
        assert!(matches!(compute_transport(&z, &z, &theta, 7), Err(Error::Unsuited(_))));
        assert_eq!(compute_transport(&[f32::NAN, 0.0], &[0.0, 0.0], &[1.0, 0.0], 2), Err(Error::NotFinite));
    }

    /// The slope of v . z along u is ||u||, by central differences.
    fn responses_are_derivatives() {
        let (model, x) = (net("wrn-10-1"), images(10, 3));
        let v = ready(random_directions(1, 3, 4, &Device::flex())).unwrap();
        let look = |x_adv: &[f32], chosen: &[usize]| ready(response(&query(&model), &x, x_adv, &v, chosen)).unwrap();
        let still = look(&x, &[2, 0, 7]);
        assert_eq!(still.alignment, [None, None, None]);
        assert_eq!(still.maps.len(), 2);
        let all = look(&x, &[0, 1, 2]);
        assert_eq!((&still.maps[0], &still.maps[1]), (&all.maps[2], &all.maps[0]));
        let square: f32 = all.norms.iter().map(|n| n * n).sum();
        assert!((all.penalty / (square * 4.0 / 3.0) - 1.0).abs() < 1e-5);

        let h = 0.05;
        let moved = |h: f32| -> Vec<f32> {
            let step = all.maps.iter().zip(&all.norms).flat_map(|(u, norm)| u.iter().map(move |u| h * u / norm));
            x.iter().zip(step).map(|(x, d)| x + d).collect()
        };
        let [up, down] = [h, -h].map(|h| logits(&model, &moved(h)));
        for (i, norm) in all.norms.iter().enumerate() {
            let row = i * 4..(i + 1) * 4;
            let slope = (dot(&up[row.clone()], &v[row.clone()]) - dot(&down[row.clone()], &v[row])) / (2.0 * h);
            assert!((slope / norm - 1.0).abs() < 0.02, "{slope} is not {norm}");
        }
        assert!(look(&moved(0.5), &[]).alignment.iter().all(|a| a.unwrap() > 1.0 - 1e-5));
        assert!(matches!(ready(response(&query(&model), &x, &x, &v[1..], &[])), Err(Error::Unsuited(_))));
        assert!(matches!(ready(response(&query(&model), &x, &x[1..], &v, &[])), Err(Error::Unsuited(_))));
    }

    /// The image is at (0, 0), its adversarial image at (1, 0), and the parts form the whole grid.
    fn a_landscape_passes_through_both_images() {
        let (model, x) = (net("wrn-10-1"), images(11, 1));
        let x_adv = attacked(&x);
        let goal = Goal::Untargeted(2);
        let plane = LandscapePlane::new(&x, &x_adv, Norm::Linf, 5, goal, [-1.0, 2.0], 4).unwrap();
        let query = query(&model);
        let whole = ready(plane.rows(&query, 0..4)).unwrap();
        let mut parts = LandscapeValues::default();
        for row in 0..4 {
            parts.extend(ready(plane.rows(&query, row..row + 1)).unwrap());
        }
        assert_eq!(whole.loss.len(), 16);
        assert!(relative_error(&parts.loss, &whole.loss) < 1e-5);
        assert!(relative_error(&parts.margin, &whole.margin) < 1e-5);
        for (x, column) in [(&x, 1), (&x_adv, 2)] {
            let z = logits(&model, x);
            let loss = Loss::CrossEntropy.value_and_grad(goal, &z, &mut [0.0; 4]) as f32;
            assert!((whole.loss[4 + column] - loss).abs() < 1e-5);
            assert!((whole.margin[4 + column] - goal.margin(&z)).abs() < 1e-5);
        }
        // Rows go along the second direction.
        let z = logits(&model, &plane.point(-1.0, 2.0));
        assert!((whole.margin[12] - goal.margin(&z)).abs() < 1e-5);
        assert!(matches!(ready(LandscapePlane { goal: Goal::Untargeted(4), ..plane }.rows(&query, 0..1)), Err(Error::Unsuited(_))));
    }

    fn the_second_direction_has_the_same_size() {
        let x = images(12, 1);
        let x_adv = attacked(&x);
        let directions = |norm| LandscapePlane::new(&x, &x_adv, norm, 5, Goal::Untargeted(0), [-1.0, 2.0], 4).unwrap();
        let [d1, d2] = directions(Norm::Linf).directions;
        let size = Norm::Linf.norm(d1.into_iter());
        assert!(d2.iter().all(|v| v.abs() == size));
        assert!(d2.iter().any(|v| *v > 0.0));
        assert!(d2.iter().any(|v| *v < 0.0));
        let [d1, d2] = directions(Norm::L2).directions;
        assert!((dot(&d2, &d2) / dot(&d1, &d1) - 1.0).abs() < 1e-4);
        assert!((dot(&d1, &d2) / dot(&d1, &d1)).abs() < 1e-4);
        let far = LandscapePlane { range: [-100.0, 100.0], ..directions(Norm::L2) };
        assert!(far.point(far.coordinate(0), far.coordinate(3)).iter().all(|v| (0.0..=1.0).contains(v)));
        for (x_adv, range, side) in [(&x, [-1.0, 2.0], 4), (&x_adv, [2.0, -1.0], 4), (&x_adv, [-1.0, 2.0], 1)] {
            let plane = LandscapePlane::new(&x, x_adv, Norm::L2, 5, Goal::Untargeted(0), range, side);
            assert!(matches!(plane, Err(Error::Unsuited(_))));
        }
    }

    /// For z = (w . x + b, 0), the margin decreases by ||w||_1 per unit of epsilon.
    fn the_margin_curve_of_a_linear_model() {
        struct Line(Tensor<2>);
        impl Classifier for Line {
            fn logits(&self, x: Tensor<4>) -> Tensor<2> {
                let b = x.dims()[0] as i32;
                x.reshape([b, -1]).matmul(self.0.clone())
            }
        }
        let w = values(&uniform(13, [N], -0.02, 0.02));
        let x: Vec<f32> = w.iter().map(|w| 0.5 + 0.1 * w.signum()).collect();
        let weight = matrix(&w, 1);
        let model = Line(Tensor::cat(vec![weight.clone(), weight.zeros_like()], 1));
        let query = ModelOracle::new(&model, &Device::flex(), [3, 32, 32], 2);
        let (clean, size) = (dot(&w, &x), w.iter().map(|w| w.abs()).sum::<f32>());
        let task = AttackBatch { images: x, goals: vec![Goal::Untargeted(0)], image_ids: vec![0] };
        for kind in [AttackKind::Fgsm, AttackKind::Pgd] {
            let config = AttackConfig { steps: 12, epsilon: Pixels(0.04), step: Pixels(0.01), ..AttackConfig::of(kind, Norm::Linf) };
            let (a, b) = (0.8 * clean / size, 1.3 * clean / size);
            let curve = [0.0, a, b].map(|epsilon| {
                let found = ready(attack_at_radius(epsilon, &config, 2, &query, &task, &mut ())).unwrap();
                MarginPoint { epsilon, margin: found[0].margin }
            });
            for radius in curve {
                assert!((radius.margin - (clean - radius.epsilon * size)).abs() < 1e-3 * clean, "{kind}: {radius:?}");
            }
            assert!((critical_radius(&curve).unwrap() / (clean / size) - 1.0).abs() < 1e-3, "{kind}");
            assert_eq!(critical_radius(&curve[..2]), None);
            assert_eq!(critical_radius(&curve[2..]), Some(b));
        }
        assert_eq!(critical_radius(&[]), None);
    }
}
