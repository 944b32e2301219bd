//! The CPU's kernels, for float32.
//!
//! burn-flex convolves nearly on one thread and far below what its vectors can do, and takes a dozen passes for a batch
//! normalization. Here convolution runs near the peak rate of all cores, normalization and ReLU are computed where a
//! convolution reads them, and the backward pass computes only the gradients that are asked for.

mod conv;
mod conv_op;
mod correlate;
mod descent_op;
mod flex;
mod layout_op;
mod maps;
mod memory;
mod norm;
mod norm_op;
mod operands;
mod packed;
pub mod profile;
mod step_op;
mod weight_gradient;
mod window;
mod winograd;

pub use conv_op::{activated_conv2d, activated_conv2d_tangent, conv2d};
pub use descent_op::descend;
pub use flex::supports;
pub use layout_op::channels_last;
pub use norm_op::{affine, cross_moments, moments};
pub use packed::Packed;
pub use step_op::sign_step;
