//! Input-Jacobian penalty R = C/B sum_i || d(v_i . z_i)/dx ||^2 (Hoffman et al., 2019) with its exact parameter gradient.
//!
//! With v fixed and u = stopgrad(J^T v), the gradient of ||J^T v||^2 in the parameters is that of 2 <v, J u>, and J u
//! is the tangent of the logits along u. So: one reverse pass for u, one dual forward pass for J u, and the ordinary
//! reverse pass of the loss. In training mode J is that of the whole batch, as in the reference.

use burn::tensor::Tensor;

/// u = J^T v, `[B, 3, H, W]`: the gradient of sum_i v_i . z_i in the pixels `x`, a tracked leaf that `z` depends on.
/// Consumes the graph of `z`.
///
/// # Panics
/// If `z` does not depend on `x`.
pub fn pull_back(z: Tensor<2>, x: &Tensor<4>, v: Tensor<2>) -> Tensor<4> {
    let mut gradients = (z * v).sum().backward();
    x.grad_remove(&mut gradients).expect("the logits depend on the pixels")
}

/// R, `[1]`, from u = J^T v, the directions v `[B, C]` and the logits' tangent J u `[B, C]`, through which the parameter
/// gradient flows.
pub fn penalty(u: Tensor<4>, v: Tensor<2>, tangent: Tensor<2>) -> Tensor<1> {
    let [b, c] = v.dims();
    let scale = c as f32 / b as f32;
    let value = u.square().sum().mul_scalar(scale);
    let surrogate = (tangent * v).sum().mul_scalar(2.0 * scale);
    // The value of R, the gradient of 2 <v, J u>.
    surrogate.clone() - surrogate.inner() + value
}
