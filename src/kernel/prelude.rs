//! The parts of burn that every custom operation with a backward pass needs.

pub use burn::{
    backend::{
        Autodiff, Backend, Dispatch, ExtensionType,
        autodiff::{
            NodeId,
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::Tensor,
};

#[cfg(feature = "gpu")]
pub use burn::backend::{Cube, TensorMetadata, ops::FloatTensorOps};

#[cfg(feature = "cpu")]
pub use burn::backend::Flex;
