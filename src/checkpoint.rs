//! Checkpoint files in the safetensors format, as read and written by PyTorch's `safetensors.torch`.
//!
//! A checkpoint of this crate contains the state dict as `model.*`, the state of the optimizer as
//! `optimiser.velocity.*` until training is finished, and metadata such as the settings, the class names and the step.
//! State dicts without the prefix `model.` can be read as well.

use std::collections::{BTreeMap, HashMap};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::model::{
    head::unnamed,
    parameter::{Array, Arrays},
};

/// An error in a checkpoint file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is truncated or not in the safetensors format.
    #[error(
        "not a complete safetensors file ({0}): if you downloaded or copied it, do so again; if PyTorch saved it, convert it with the program `convert`"
    )]
    Malformed(String),
    /// A tensor has an unsupported element type.
    #[error(
        "tensor '{0}' has element type {1:?}, but only float32, float16, bfloat16, float64 and int64 are supported: convert it in PyTorch"
    )]
    ElementType(String, Dtype),
    /// A value is outside the range of float16.
    #[error("tensor '{name}' contains {value}, but the largest float16 number is 65504: write float32 instead")]
    HalfOverflow {
        /// The name of the tensor.
        name: String,
        /// The value.
        value: f32,
    },
    /// The arrays do not describe a model.
    #[error("{0}")]
    Model(#[from] crate::model::Error),
    /// A metadata entry is missing or invalid.
    #[error("metadata '{key}': {problem}")]
    Metadata {
        /// The key of the entry.
        key: &'static str,
        /// The problem.
        problem: String,
    },
}

/// Named arrays and text metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The arrays by name.
    pub arrays: Arrays,
    /// The metadata by key.
    pub metadata: BTreeMap<String, String>,
}

/// Prefix of the names of the model's tensors in checkpoints of this crate and in the PyTorch fixtures.
pub const MODEL_PREFIX: &str = "model.";
/// The only key in the metadata of the file: a JSON object with all entries.
const METADATA: &str = "otjr";

impl Checkpoint {
    /// Reads a safetensors file. All element types are converted to float32.
    ///
    /// # Errors
    /// If the file is truncated or malformed, or a tensor has an unsupported element type.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |e: safetensors::SafeTensorError| Error::Malformed(e.to_string());
        let file = SafeTensors::deserialize(bytes).map_err(malformed)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
        let mut arrays = Arrays::new();
        for (name, view) in file.tensors() {
            let values = to_f32(&name, &view)?;
            arrays.insert(name, Array { shape: view.shape().to_vec(), values });
        }
        let mut metadata: BTreeMap<String, String> =
            header.metadata().clone().unwrap_or_default().into_iter().collect();
        if let Some(json) = metadata.remove(METADATA) {
            let problem = |e: serde_json::Error| Error::Metadata { key: METADATA, problem: e.to_string() };
            metadata.extend(serde_json::from_str::<BTreeMap<String, String>>(&json).map_err(problem)?);
        }
        Ok(Self { arrays, metadata })
    }

    /// Returns the bytes of a float32 safetensors file. Equal checkpoints have equal bytes.
    ///
    /// # Panics
    /// If the number of values of an array does not match its shape.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.serialize(false).expect("float32 needs no conversion")
    }

    /// Returns the bytes of a safetensors file with float16 weights, which has about half the size (see
    /// [`encode_array`]).
    ///
    /// # Errors
    /// If a weight is outside the range of float16.
    pub fn to_f16_bytes(&self) -> Result<Vec<u8>, Error> {
        self.serialize(true)
    }

    fn serialize(&self, half: bool) -> Result<Vec<u8>, Error> {
        let mut encoded: BTreeMap<&String, EncodedArray> = BTreeMap::new();
        for (name, array) in &self.arrays {
            encoded.insert(name, encode_array(name, array, half)?);
        }
        let views = self.arrays.iter().map(|(name, array)| {
            let EncodedArray { bytes, is_half } = &encoded[name];
            let view = TensorView::new(if *is_half { Dtype::F16 } else { Dtype::F32 }, array.shape.clone(), bytes);
            (name, view.expect("the number of values of an array matches its shape"))
        });
        // The safetensors crate stores metadata in a HashMap, whose order is random. With a single entry, the bytes are
        // deterministic.
        let metadata = HashMap::from([(METADATA.to_owned(), serde_json::json!(self.metadata).to_string())]);
        Ok(safetensors::serialize(views, Some(metadata)).expect("arrays and text can be serialized"))
    }

    /// Returns the arrays whose names start with `prefix`, with the prefix removed from their names.
    pub fn arrays_with_prefix(&self, prefix: &str) -> Arrays {
        let strip = |(name, array): (&String, &Array)| Some((name.strip_prefix(prefix)?.to_owned(), array.clone()));
        self.arrays.iter().filter_map(strip).collect()
    }

    /// Inserts arrays and prepends `prefix` to their names.
    pub fn insert_with_prefix(&mut self, prefix: &str, arrays: Arrays) {
        self.arrays.extend(arrays.into_iter().map(|(name, array)| (format!("{prefix}{name}"), array)));
    }

    /// Removes all arrays except those of the model.
    pub fn without_optimizer(mut self) -> Self {
        self.arrays.retain(|name, _| name.starts_with(MODEL_PREFIX));
        self
    }

    /// Returns the state dict: the arrays with the prefix `model.`, or all arrays if there are none.
    pub fn model_arrays(&self) -> Arrays {
        let model = self.arrays_with_prefix(MODEL_PREFIX);
        if model.is_empty() { self.arrays.clone() } else { model }
    }

    /// Returns the class names if the metadata contains exactly `count`, and default names otherwise.
    pub fn class_names(&self, count: usize) -> Vec<String> {
        let names = self.metadata.get("classes").and_then(|json| serde_json::from_str::<Vec<String>>(json).ok());
        names.filter(|names| names.len() == count).unwrap_or_else(|| (0..count).map(unnamed).collect())
    }
}

/// Returns the first class with different names in two lists of equal length. Default names match any name.
pub fn first_class_mismatch(a: &[String], b: &[String]) -> Option<usize> {
    a.iter().zip(b).enumerate().position(|(i, (a, b))| {
        let default_name = unnamed(i);
        a != b && *a != default_name && *b != default_name
    })
}

/// The bytes of an array in a file, little-endian.
pub(crate) struct EncodedArray {
    pub bytes: Vec<u8>,
    /// Whether the elements are float16 instead of float32.
    pub is_half: bool,
}

/// Encodes an array. With `half`, arrays of two or more dimensions (weights) are encoded as float16.
///
/// Biases and the parameters of batch normalization always stay float32. They are small, and a variance may be below
/// the range of float16.
///
/// # Errors
/// If a weight is above the range of float16.
pub(crate) fn encode_array(name: &str, array: &Array, half: bool) -> Result<EncodedArray, Error> {
    if !half || array.shape.len() < 2 {
        let bytes = array.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        return Ok(EncodedArray { bytes, is_half: false });
    }
    let mut bytes = Vec::with_capacity(2 * array.values.len());
    for &value in &array.values {
        let rounded = half::f16::from_f32(value);
        if value.is_finite() && !rounded.is_finite() {
            return Err(Error::HalfOverflow { name: name.to_owned(), value });
        }
        bytes.extend(rounded.to_le_bytes());
    }
    Ok(EncodedArray { bytes, is_half: true })
}

/// Returns the values of a tensor as float32.
fn to_f32(name: &str, view: &TensorView) -> Result<Vec<f32>, Error> {
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
