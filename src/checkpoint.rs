//! Files of arrays: safetensors, as PyTorch's `safetensors.torch` reads and writes them.
//!
//! A checkpoint of ours holds `model.*` (the state dict), `optimizer.velocity.*` while training is not over, and in its
//! metadata the configuration, the classes' names and the step. A bare state dict without the prefix is read as well.

use std::collections::{BTreeMap, HashMap};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::model::{
    head::unnamed,
    parameter::{Array, Arrays},
};

/// What is wrong with a file of arrays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "not a complete safetensors file ({0}): if it was downloaded or copied, fetch it again; if PyTorch saved it, `convert` turns it into one"
    )]
    Broken(String),
    #[error("tensor '{0}' has element type {1:?}; float32, float16, bfloat16, float64 and int64 can be read")]
    ElementType(String, Dtype),
    #[error("float16 holds numbers up to 65504, and '{name}' has {value}: leave it at float32")]
    Half { name: String, value: f32 },
    #[error("{0}")]
    Model(#[from] crate::model::Error),
    #[error("metadata '{key}': {problem}")]
    Metadata { key: &'static str, problem: String },
}

/// Named arrays with text beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    pub arrays: Arrays,
    pub metadata: BTreeMap<String, String>,
}

/// The prefix of a model's tensors in our files and in the oracle's fixtures.
pub const MODEL_PREFIX: &str = "model.";
/// The one entry of our files' metadata: a JSON object of the rest.
const METADATA: &str = "otjr";

impl Checkpoint {
    /// Reads a file's bytes. Integers (labels, counters) become floats as well.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |e: safetensors::SafeTensorError| Error::Broken(e.to_string());
        let file = SafeTensors::deserialize(bytes).map_err(broken)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let mut arrays = Arrays::new();
        for (name, view) in file.tensors() {
            let values = floats(&name, &view)?;
            arrays.insert(name, Array { shape: view.shape().to_vec(), values });
        }
        let mut metadata: BTreeMap<String, String> =
            header.metadata().clone().unwrap_or_default().into_iter().collect();
        if let Some(ours) = metadata.remove(METADATA) {
            let problem = |e: serde_json::Error| Error::Metadata { key: METADATA, problem: e.to_string() };
            metadata.extend(serde_json::from_str::<BTreeMap<String, String>>(&ours).map_err(problem)?);
        }
        Ok(Self { arrays, metadata })
    }

    /// The bytes of a float32 safetensors file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.serialize(false).expect("float32 holds every value")
    }

    /// The same in about half the size (see [`stored`]).
    pub fn to_f16_bytes(&self) -> Result<Vec<u8>, Error> {
        self.serialize(true)
    }

    fn serialize(&self, half: bool) -> Result<Vec<u8>, Error> {
        let stored = |(name, array): (&String, &Array)| Ok((name.clone(), stored(name, array, half)?));
        let bytes: BTreeMap<String, (Vec<u8>, bool)> = self.arrays.iter().map(stored).collect::<Result<_, Error>>()?;
        let views = self.arrays.iter().map(|(name, array)| {
            let (bytes, half) = &bytes[name];
            let view = TensorView::new(if *half { Dtype::F16 } else { Dtype::F32 }, array.shape.clone(), bytes);
            (name, view.expect("an array has as many values as its shape says"))
        });
        // The crate keeps metadata in a HashMap, whose order is random; one entry has one order, so equal contents make
        // equal bytes.
        let metadata = HashMap::from([(METADATA.to_owned(), serde_json::json!(self.metadata).to_string())]);
        Ok(safetensors::serialize(views, Some(metadata)).expect("arrays and text can be serialized"))
    }

    /// The arrays whose names begin with `prefix`, without it.
    pub fn arrays_with_prefix(&self, prefix: &str) -> Arrays {
        let strip = |(name, array): (&String, &Array)| Some((name.strip_prefix(prefix)?.to_owned(), array.clone()));
        self.arrays.iter().filter_map(strip).collect()
    }

    /// Adds arrays under a prefix.
    pub fn insert_with_prefix(&mut self, prefix: &str, arrays: Arrays) {
        self.arrays.extend(arrays.into_iter().map(|(name, array)| (format!("{prefix}{name}"), array)));
    }

    /// The same file with the model and nothing that only training needs.
    pub fn without_optimizer(mut self) -> Self {
        self.arrays.retain(|name, _| name.starts_with(MODEL_PREFIX));
        self
    }

    /// The state dict: the tensors under `model.`, or all of them if none is.
    pub fn model_arrays(&self) -> Arrays {
        let model = self.arrays_with_prefix(MODEL_PREFIX);
        if model.is_empty() { self.arrays.clone() } else { model }
    }

    /// The classes' names, if the file names as many as `count`; else their numbers.
    pub fn class_names(&self, count: usize) -> Vec<String> {
        let named = self.metadata.get("classes").and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
        named.filter(|names| names.len() == count).unwrap_or_else(|| (0..count).map(unnamed).collect())
    }
}

/// The first class that two lists of names, equally long, call differently; [`unnamed`] goes with every name.
pub fn first_class_mismatch(a: &[String], b: &[String]) -> Option<usize> {
    let differs = |(i, (a, b)): (usize, (&String, &String))| a != b && ![a, b].contains(&&unnamed(i));
    a.iter().zip(b).enumerate().position(differs)
}

/// An array's bytes, and whether they are float16. With `half` those of weights are; norms and biases are few, and a
/// variance may be too small for it.
///
/// # Errors
/// If a value is too large for float16.
pub fn stored(name: &str, array: &Array, half: bool) -> Result<(Vec<u8>, bool), Error> {
    if !half || array.shape.len() < 2 {
        return Ok((array.values.iter().flat_map(|v| v.to_le_bytes()).collect(), false));
    }
    let narrow = |&value: &f32| {
        let narrow = half::f16::from_f32(value);
        let fits = narrow.is_finite() || !value.is_finite();
        if fits { Ok(narrow.to_le_bytes()) } else { Err(Error::Half { name: name.to_owned(), value }) }
    };
    let values = array.values.iter().map(narrow).collect::<Result<Vec<_>, _>>()?;
    Ok((values.concat(), true))
}

/// The values of a tensor as float32.
fn floats(name: &str, view: &TensorView) -> Result<Vec<f32>, Error> {
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::I64 => data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect(),
        other => return Err(Error::ElementType(name.into(), other)),
    })
}
