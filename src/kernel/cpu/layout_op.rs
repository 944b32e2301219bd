//! Conversion of images from NCHW to NHWC layout.

use crate::kernel::prelude::*;

use super::{
    burn_glue::{contiguous, dims, floats, tensor},
    parallel, profile,
};

/// Converts `[B, C, H, W]` to contiguous `[B, H, W, C]`.
pub fn channels_last(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::to_channels_last(x.into_dispatch()))
}

#[backend_extension(Flex, Autodiff)]
trait Layout: Backend {
    fn to_channels_last(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Transposes each matrix of a batch `[B, rows, columns]`; one matrix is one chunk of work.
fn transpose(x: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let _timer = profile::time("layout", || (format!("{} x {rows}x{columns}", x.len() / rows / columns), 0));
    let fill = |_: &mut (), matrix: usize, [out]: [&mut [f32]; 1]| {
        let x = &x[matrix * rows * columns..][..rows * columns];
        for (row, x) in x.chunks_exact(columns).enumerate() {
            out[row..].iter_mut().step_by(rows).zip(x).for_each(|(out, x)| *out = *x);
        }
    };
    let ([out], _) = parallel::fill(x.len(), rows * columns, || (), fill);
    out
}

impl Layout for Flex {
    fn to_channels_last(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let [b, c, h, w] = dims(&x);
        tensor(transpose(floats(&contiguous(x)), [c, h * w]), [b, h, w, c])
    }
}

impl<C: CheckpointStrategy> Layout for Autodiff<Flex, C> {
    fn to_channels_last(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = LayoutBackward.prepare::<C>([x.node()]).compute_bound().stateful();
        let output = Flex::to_channels_last(x.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct LayoutBackward;

impl Backward<Flex, 1> for LayoutBackward {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [b, h, w, c] = dims(&dy);
        if let [Some(node)] = ops.parents {
            grads.register::<Flex>(node.id, tensor(transpose(floats(&dy), [h * w, c]), [b, c, h, w]));
        }
    }
}
