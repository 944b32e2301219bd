//! Element types of storages.

/// The element type of a tensor, named as PyTorch's storage classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    Double,
    Float,
    Half,
    BFloat16,
    Long,
    Int,
    Short,
    Char,
    Byte,
    Bool,
}

impl Element {
    /// Returns the element type of a storage class, such as `FloatStorage`.
    pub fn from_storage_class(name: &str) -> Option<Self> {
        Some(match name.strip_suffix("Storage")? {
            "Double" => Self::Double,
            "Float" => Self::Float,
            "Half" => Self::Half,
            "BFloat16" => Self::BFloat16,
            "Long" => Self::Long,
            "Int" => Self::Int,
            "Short" => Self::Short,
            "Char" => Self::Char,
            "Byte" => Self::Byte,
            "Bool" => Self::Bool,
            _ => return None,
        })
    }

    /// Returns the size of an element in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Double | Self::Long => 8,
            Self::Float | Self::Int => 4,
            Self::Half | Self::BFloat16 | Self::Short => 2,
            Self::Char | Self::Byte | Self::Bool => 1,
        }
    }

    /// Returns the element at `index` as float32.
    ///
    /// # Panics
    /// If the storage is too short.
    pub fn read(self, storage: &[u8], index: usize) -> f32 {
        let bytes = &storage[index * self.size()..];
        match self {
            Self::Double => f64::from_le_bytes(first(bytes)) as f32,
            Self::Float => f32::from_le_bytes(first(bytes)),
            Self::Half => half::f16::from_le_bytes(first(bytes)).to_f32(),
            Self::BFloat16 => half::bf16::from_le_bytes(first(bytes)).to_f32(),
            Self::Long => i64::from_le_bytes(first(bytes)) as f32,
            Self::Int => i32::from_le_bytes(first(bytes)) as f32,
            Self::Short => i16::from_le_bytes(first(bytes)).into(),
            Self::Char => i8::from_le_bytes(first(bytes)).into(),
            Self::Byte | Self::Bool => bytes[0].into(),
        }
    }
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("the index was checked against the length of the storage")
}
