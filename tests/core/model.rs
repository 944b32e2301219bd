//! Architectures, model files and modes.

use burn::tensor::Device;
use otjr::{
    loss::jacobian,
    model::{Architecture, Error, Model, Pass, dual::Dual, head},
};

use crate::{ready, relative_error, tests, uniform, values};

fn small() -> Model {
    Model::new("wrn-10-1".parse().unwrap(), 4, Some([[0.5, 0.4, 0.3], [0.2, 0.25, 0.3]]), 1, &Device::flex()).unwrap()
}

tests! {
    fn names_of_architectures() {
        for name in ["wrn-10-1", "wrn-34-10", "wrn-28-10", "resnet-18", "preact-resnet-18", "preact-resnet-18-w16"] {
            assert_eq!(name.parse::<Architecture>().unwrap().to_string(), name);
        }
        for name in ["", "wrn", "wrn-11-1", "wrn-4-1", "wrn-10-0", "wrn-10-x", "resnet-50", "resnet-18w4", "vgg"] {
            assert!(matches!(name.parse::<Architecture>(), Err(Error::Name(_))), "{name}");
        }
    }

    /// Parameter counts: PyTorch's for the reference WRN-10-1 with ten classes, and the well-known ones.
    fn sizes() {
        let count = |name: &str, classes| {
            Model::new(name.parse().unwrap(), classes, None, 0, &Device::flex()).unwrap().parameters()
        };
        assert_eq!(count("wrn-10-1", 10), 77_850);
        assert_eq!(count("resnet-18", 10), 11_173_962);
    }

    fn a_model_survives_its_file() {
        let (model, x) = (small(), uniform(1, [2, 3, 32, 32], 0.0, 1.0));
        let again = Model::from_arrays(&ready(model.arrays()).unwrap(), &Device::flex()).unwrap();
        let logits = |m: &Model| values(&m.forward(x.clone(), &mut Pass::inference()).logits.value);
        assert_eq!(logits(&model), logits(&again));
    }

    fn the_same_seed_the_same_weights() {
        let weights = |seed| {
            let model = Model::new("wrn-10-1".parse().unwrap(), 4, None, seed, &Device::flex()).unwrap();
            ready(model.arrays()).unwrap()
        };
        assert_eq!(weights(3), weights(3));
        assert_ne!(weights(3), weights(4));
    }

    fn files_of_other_networks_are_refused_by_name() {
        let arrays = ready(small().arrays()).unwrap();
        let with = |change: &dyn Fn(&mut otjr::model::parameter::Arrays)| {
            let mut arrays = arrays.clone();
            change(&mut arrays);
            Model::from_arrays(&arrays, &Device::flex()).unwrap_err().to_string()
        };
        let missing = with(&|a| drop(a.remove("block2.layer.0.bn2.bias")));
        assert!(missing.contains("has no tensor 'block2.layer.0.bn2.bias'"), "{missing}");
        let shape = with(&|a| a.get_mut("block3.layer.0.conv1.weight").unwrap().shape = vec![64, 32, 9]);
        assert!(shape.contains("shape [64, 32, 9], but the network needs [64, 32, 3, 3]"), "{shape}");
        let nan = with(&|a| a.get_mut("fc.weight").unwrap().values[7] = f32::NAN);
        assert!(nan.contains("'fc.weight' contains NaN at position 7"), "{nan}");
        let foreign = with(&|a| drop(a.insert("attention.weight".into(), a["fc.bias"].clone())));
        assert!(foreign.contains("'attention.weight' that a wrn-10-1 does not have"), "{foreign}");
        let unknown = with(&|a| a.retain(|name, _| name.starts_with("fc")));
        assert!(unknown.contains("no supported network"), "{unknown}");
    }

    /// In inference mode the outputs of an image do not depend on the rest of the batch. In training mode they do.
    fn modes() {
        let (model, x) = (small(), uniform(2, [3, 3, 32, 32], 0.0, 1.0));
        let first = |pass: &mut Pass, n| values(&model.forward(x.clone().narrow(0, 0, n), pass).logits.value)[..4].to_vec();
        assert!(relative_error(&first(&mut Pass::inference(), 3), &first(&mut Pass::inference(), 1)) < 1e-5);
        assert!(relative_error(&first(&mut Pass::training(), 3), &first(&mut Pass::training(), 2)) > 1e-3);
    }

    /// A training pass, also on a clone, does not change the model before `update_running`.
    fn running_statistics_change_only_by_update() {
        let (mut model, x) = (small(), uniform(3, [3, 3, 32, 32], 0.0, 1.0));
        let before = ready(model.arrays()).unwrap();
        let mut pass = Pass::training();
        model.clone().forward(x, &mut pass);
        assert_eq!(ready(model.arrays()).unwrap(), before);
        model.update_running(pass);
        let after = ready(model.arrays()).unwrap();
        let changed: Vec<_> = after.keys().filter(|name| after[*name] != before[*name]).collect();
        assert_eq!(changed.len(), 14, "{changed:?}");
        assert!(changed.iter().all(|name| name.contains(".running_")));
    }

    /// Forward and reverse mode agree: <v, J u> = <J^T v, u>, in both modes of batch norm and for all families. The reverse
    /// mode is burn's autodiff.
    fn tangents_are_derivatives() {
        for name in ["wrn-10-1", "resnet-18-w4", "preact-resnet-18-w4"] {
            let model = Model::new(name.parse().unwrap(), 4, Some([[0.5; 3], [0.25; 3]]), 5, &Device::flex()).unwrap();
            let x = uniform(4, [4, 3, 32, 32], 0.2, 0.8);
            let (u, v) = (uniform(5, [4, 3, 32, 32], 0.0, 1.0), uniform(6, [4, 4], -1.0, 1.0));
            for pass in [Pass::inference, Pass::training_frozen_stats] {
                let tangent = model.forward(Dual::new(x.clone(), u.clone()), &mut pass()).logits.tangent.unwrap();
                let pixels = x.clone().autodiff().require_grad();
                let z = model.forward(pixels.clone(), &mut pass()).logits.value;
                let back = jacobian::pull_back(z, &pixels, v.clone());
                let forward = values(&(tangent.clone() * v.clone()).sum())[0];
                let reverse = values(&(back * u.clone()).sum())[0];
                let scale = values(&tangent.square().sum().sqrt())[0];
                assert!((forward - reverse).abs() < 1e-4 * scale, "{name}: {forward} is not {reverse}");
            }
        }
    }

    /// Adding classes does not change the logits of existing classes, for all families. The new rows are initialized like those
    /// of a new model.
    fn models_learn_of_new_classes() {
        let x = uniform(7, [2, 3, 32, 32], 0.0, 1.0);
        for (name, layer, inputs) in [("wrn-10-1", "fc", 64), ("resnet-18-w4", "linear", 32)] {
            let model = Model::new(name.parse().unwrap(), 4, Some([[0.5; 3], [0.25; 3]]), 5, &Device::flex()).unwrap();
            let arrays = ready(model.arrays()).unwrap();
            assert_eq!(head::resize(arrays.clone(), 4, 4, 1).unwrap(), arrays);

            let wide = head::resize(arrays.clone(), 4, 6, 1).unwrap();
            let in_turn = head::resize(head::resize(arrays.clone(), 4, 5, 1).unwrap(), 5, 6, 1).unwrap();
            assert_eq!(in_turn, wide, "one by one or at once");
            assert_ne!(head::resize(arrays.clone(), 4, 6, 2).unwrap(), wide);
            let [weight, bias] = ["weight", "bias"].map(|part| &wide[&format!("{layer}.{part}")]);
            assert_eq!((weight.shape.as_slice(), bias.shape.as_slice()), ([6, inputs].as_slice(), [6].as_slice()));
            let bound = 1.0 / (inputs as f32).sqrt();
            let new = &weight.values[4 * inputs..];
            let largest = new.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
            assert!(largest <= bound, "{new:?}");
            assert!(largest > 0.9 * bound, "{new:?}");
            assert!(new[..inputs] != new[inputs..], "{new:?}");
            assert_eq!(bias.values[4..] == [0.0; 2], name == "wrn-10-1");

            let again = Model::from_arrays(&wide, &Device::flex()).unwrap();
            let latent = |m: &Model| values(&m.forward(x.clone(), &mut Pass::inference()).latent.value);
            assert_eq!(latent(&again), latent(&model));
            let logits = |m: &Model| values(&m.forward(x.clone(), &mut Pass::inference()).logits.value);
            let (old, new) = (logits(&model), logits(&again));
            for (old, new) in old.chunks(4).zip(new.chunks(6)) {
                assert!(relative_error(&new[..4], old) < 1e-6, "{old:?} {new:?}");
            }
        }
        let mut arrays = ready(small().arrays()).unwrap();
        arrays.get_mut("fc.bias").unwrap().shape = vec![5];
        assert!(matches!(head::resize(arrays.clone(), 4, 6, 1), Err(Error::Shape { .. })));
        arrays.remove("fc.bias");
        assert!(matches!(head::resize(arrays, 4, 6, 1), Err(Error::Missing(_))));
    }
}
