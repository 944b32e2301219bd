//! Comparison with NumPy and PyTorch in float64. `oracle.py` writes the fixture, with the robust model of the page.

use burn::tensor::Device;
use otjr::{
    attack::{Goal, Norm},
    checkpoint::Checkpoint,
    explore::{
        embedding::{Bounds, DecisionRegions, latents},
        jacobian::response,
        landscape::LandscapePlane,
        layers::layer_shifts,
        pca::PrincipalPlane,
        transport::{ProjectedImage, Projection, TransportPlan, compute_transport},
    },
    model::Model,
};

use super::{N, query};
use crate::{ready, relative_error, tests};

const TOLERANCE: f32 = 1e-4;
const CLASSES: usize = 10;

fn fixture() -> (Checkpoint, Model) {
    let fixture = Checkpoint::from_bytes(include_bytes!("../../fixtures/explore.safetensors")).unwrap();
    let model = Checkpoint::from_bytes(include_bytes!("../../../public/models/otjr.safetensors")).unwrap();
    (fixture, Model::from_arrays(&model.model_arrays(), &Device::flex()).unwrap())
}

fn values<'a>(fixture: &'a Checkpoint, name: &str) -> &'a [f32] {
    &fixture.arrays[name].values
}

fn near(ours: &[f32], fixture: &Checkpoint, name: &str) {
    let error = relative_error(ours, values(fixture, name));
    assert!(error < TOLERANCE, "{name}: {error:e}");
}

fn moved(fixture: &Checkpoint) -> TransportPlan {
    compute_transport(values(fixture, "z"), values(fixture, "a"), values(fixture, "theta"), CLASSES).unwrap()
}

tests! {
    fn shifts_of_layers() {
        let (fixture, model) = fixture();
        let pairs = values(&fixture, "x").chunks(N).zip(values(&fixture, "x_adv").chunks(N));
        let shifts: Vec<_> = pairs.map(|(x, x_adv)| ready(layer_shifts(&model, &Device::flex(), x, x_adv)).unwrap()).collect();
        for layer in 0..8 {
            let name = &shifts[0][layer].name;
            let row = |of: &str| values(&fixture, of)[layer * shifts.len()..(layer + 1) * shifts.len()].to_vec();
            let relative: Vec<_> = shifts.iter().map(|s| s[layer].relative_l2.unwrap()).collect();
            assert!(relative_error(&relative, &row("shift.relative")) < TOLERANCE, "{name}");
            // Cosines are near 1, so 1 - cosine is compared.
            let lack = |cosine: f32| 1.0 - cosine;
            let ours: Vec<_> = shifts.iter().map(|s| lack(s[layer].cosine.unwrap())).collect();
            let expected: Vec<_> = row("shift.cosine").into_iter().map(lack).collect();
            assert!(relative_error(&ours, &expected) < 1e-2, "{name}: {ours:?} {expected:?}");
        }
    }

    fn principal_components() {
        let (fixture, model) = fixture();
        let x = [values(&fixture, "x"), values(&fixture, "x_adv")].concat();
        let latents = ready(latents(&model, &Device::flex(), &x)).unwrap();
        let plane = PrincipalPlane::fit(&latents, 64).unwrap();
        near(&plane.mean, &fixture, "pca.mean");
        near(&plane.axes.concat(), &fixture, "pca.axes");
        near(&plane.explained, &fixture, "pca.explained");
        near(plane.project(&latents).as_flattened(), &fixture, "pca.points");

        let [low, high] = [0, 2].map(|i| [0, 1].map(|j| values(&fixture, "regions.bounds")[i + j]));
        let regions = ready(DecisionRegions::new(&model, &Device::flex(), &plane, Bounds { low, high }, 16)).unwrap();
        let classes: Vec<f32> = regions.classes.into_iter().map(f32::from).collect();
        assert_eq!(classes, values(&fixture, "regions.classes"));
    }

    fn matching() {
        let (fixture, _) = fixture();
        let moved = moved(&fixture);
        near(&[moved.value], &fixture, "transport.value");
        near(&moved.movement, &fixture, "transport.movement");
        near(&moved.direction, &fixture, "transport.direction");
        let each = |f: fn(&Projection) -> f32| moved.projections.iter().map(f).collect::<Vec<_>>();
        near(&each(|p| p.share), &fixture, "transport.share");
        near(&each(|p| p.cumulative), &fixture, "transport.cumulative");
        let images = |marks: fn(&Projection) -> &[ProjectedImage]| {
            moved.projections.iter().flat_map(marks).map(|mark| mark.image as f32).collect::<Vec<_>>()
        };
        assert_eq!(images(|p| &p.clean), values(&fixture, "transport.clean_order"));
        assert_eq!(images(|p| &p.adversarial), values(&fixture, "transport.attacked_order"));
    }

    fn input_gradients() {
        let (fixture, model) = fixture();
        let (x, x_adv) = (values(&fixture, "x"), values(&fixture, "x_adv"));
        let all: Vec<usize> = (0..6).collect();
        let reaction = ready(response(&query(&model), x, x_adv, &moved(&fixture).direction, &all)).unwrap();
        near(&reaction.maps.concat(), &fixture, "gradient");
        near(&reaction.norms, &fixture, "gradient.norm");
        let alignment: Vec<f32> = reaction.alignment.into_iter().map(|a| a.unwrap()).collect();
        near(&alignment, &fixture, "gradient.alignment");
    }

    fn losses_at_both_images() {
        let (fixture, model) = fixture();
        let pairs = values(&fixture, "x").chunks(N).zip(values(&fixture, "x_adv").chunks(N));
        let losses: Vec<[f32; 2]> = pairs
            .zip(values(&fixture, "labels"))
            .map(|((x, x_adv), &label)| {
                let goal = Goal::Untargeted(label as usize);
                let plane = LandscapePlane::new(x, x_adv, Norm::Linf, 0, goal, [0.0, 1.0], 2).unwrap();
                let row = ready(plane.rows(&query(&model), 0..1)).unwrap();
                [row.loss[0], row.loss[1]]
            })
            .collect();
        near(&losses.iter().map(|l| l[0]).collect::<Vec<_>>(), &fixture, "loss.clean");
        near(&losses.iter().map(|l| l[1]).collect::<Vec<_>>(), &fixture, "loss.attacked");
    }
}
