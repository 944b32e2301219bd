//! Checkpoint files.

use burn::tensor::Device;
use otjr::{
    checkpoint::{Checkpoint, Error},
    model::{Model, parameter::Array},
};
use safetensors::{Dtype, tensor::TensorView};

use crate::{ready, tests};

fn sample() -> Checkpoint {
    let model = Model::new("wrn-10-1".parse().unwrap(), 3, None, 2, &Device::flex()).unwrap();
    let mut file = Checkpoint::default();
    file.insert_with_prefix("model.", ready(model.arrays()).unwrap());
    file.metadata.insert("classes".into(), r#"["a","b","ç"]"#.into());
    file
}

tests! {
    fn round_trip() {
        let file = sample();
        assert_eq!(Checkpoint::from_bytes(&file.to_bytes()).unwrap(), file);
        assert_eq!(file.to_bytes(), file.clone().to_bytes(), "equal contents, equal bytes");
        assert_eq!(file.class_names(3), ["a", "b", "ç"]);
        assert_eq!(file.class_names(2), ["class 0", "class 1"], "names for another number of classes are ignored");
    }

    /// Truncated files are rejected and never cause a panic.
    fn truncated_files_are_refused() {
        let bytes = sample().to_bytes();
        for n in [0, 4, 8, 100, bytes.len() / 2, bytes.len() - 1] {
            let error = Checkpoint::from_bytes(&bytes[..n]).unwrap_err();
            assert!(matches!(error, Error::Malformed(_)), "{n}: {error}");
        }
        assert!(matches!(Checkpoint::from_bytes(b"<!doctype html><html></html>"), Err(Error::Malformed(_))));
    }

    fn half_precision_is_read() {
        let halves: Vec<u8> = [1.5f32, -0.25].iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F16, vec![2], &halves).unwrap();
        let file = Checkpoint::from_bytes(&safetensors::serialize([("w", view)], None).unwrap()).unwrap();
        assert_eq!(file.arrays["w"], Array { shape: vec![2], values: vec![1.5, -0.25] });
    }

    /// State dicts of PyTorch have no prefix and can contain batch counters.
    fn state_dicts_are_models() {
        let mut file = Checkpoint { arrays: sample().arrays_with_prefix("model."), ..Checkpoint::default() };
        file.arrays.insert("bn1.num_batches_tracked".into(), Array { shape: vec![], values: vec![7.0] });
        let model = Model::from_arrays(&file.model_arrays(), &Device::flex()).unwrap();
        assert_eq!((model.architecture.to_string().as_str(), model.classes), ("wrn-10-1", 3));
    }
}
