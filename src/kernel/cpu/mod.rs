//! CPU kernels for float32.
//!
//! burn-flex runs a convolution almost single-threaded and makes a dozen passes over memory for a batch normalization.
//! These kernels run convolutions near the peak rate of all cores, fuse normalization and ReLU into the convolution
//! that reads them, and compute only the gradients that the backward pass needs.

mod burn_glue;
mod channel_kernel;
mod conv;
mod conv_op;
mod correlate;
mod fused_input;
mod layout_op;
mod norm;
mod norm_op;
mod op_args;
mod parallel;
pub mod profile;
mod sgd_op;
mod sign_step_op;
mod weight_gradient;
mod weight_layouts;
mod window;
mod winograd;

pub use burn_glue::supports;
pub use conv_op::{conv2d, norm_relu_conv2d, norm_relu_conv2d_tangent};
pub use layout_op::channels_last;
pub use norm_op::{affine, cross_moments, moments};
pub use sgd_op::sgd_step;
pub use sign_step_op::sign_step;
pub use weight_layouts::WeightLayouts;
