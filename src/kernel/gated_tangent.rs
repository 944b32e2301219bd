//! The tangent of a batch normalization with ReLU, as an argument of burn extensions.

use super::{NormTangent, prelude::*};

/// Tangent a t + b x + c where scale x + shift is positive, and 0 elsewhere; t `[B, H, W, C]`, the other tensors `[C]`.
#[derive(ExtensionType)]
pub struct GatedTangent<B: Backend> {
    /// Factor of x in the gate.
    pub scale: FloatTensor<B>,
    /// Constant in the gate.
    pub shift: FloatTensor<B>,
    /// Tangent of x.
    pub t: FloatTensor<B>,
    /// Factor of t.
    pub a: FloatTensor<B>,
    /// Factor of x.
    pub b: FloatTensor<B>,
    /// Constant.
    pub c: FloatTensor<B>,
}

impl GatedTangent<Dispatch> {
    /// Combines the scale and the shift of a gate with a tangent.
    pub fn new(scale_and_shift: [Tensor<1>; 2], tangent: NormTangent) -> Self {
        let [scale, shift] = scale_and_shift.map(Tensor::into_dispatch);
        let NormTangent { t, a, b, c } = tangent;
        let [a, b, c] = [a, b, c].map(Tensor::into_dispatch);
        Self { scale, shift, t: t.into_dispatch(), a, b, c }
    }
}
