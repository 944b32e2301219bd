//! The convolution of [`super::conv`] as an operation of burn's CPU backend.

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Shape, Tensor},
};

use super::{
    conv::Conv,
    flex::{contiguous, floats, tensor},
};

/// See [`super::conv2d`].
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::convolve(x.into_dispatch(), weight.into_dispatch(), stride))
}

#[backend_extension(Flex, Autodiff)]
trait Convolve: Backend {
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self>;
}

impl Convolve for Flex {
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        let conv = conv(&x, &weight, stride);
        let [h, w] = conv.output();
        tensor(conv.forward(floats(&contiguous(x)), floats(&contiguous(weight))), [conv.batch, conv.cout, h, w])
    }
}

impl<C: CheckpointStrategy> Convolve for Autodiff<Flex, C> {
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        // Each gradient needs the other input.
        let x_kept = weight.is_tracked().then(|| x.primitive().clone());
        let weight_kept = x.is_tracked().then(|| weight.primitive().clone());
        let conv = conv(x.primitive(), weight.primitive(), stride);
        let prepared = ConvolveBackward.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful();
        let output = Flex::convolve(x.into_primitive(), weight.into_primitive(), stride);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((conv, x_kept, weight_kept), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct ConvolveBackward;

impl Backward<Flex, 2> for ConvolveBackward {
    /// The input where the weight's gradient is wanted, the weight where the input's is.
    type State = (Conv, Option<FloatTensor<Flex>>, Option<FloatTensor<Flex>>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x_node, weight_node] = ops.parents;
        let (conv, x, weight) = ops.state;
        if let (Some(node), Some(weight)) = (x_node, weight) {
            let dx = conv.input_gradient(floats(&dy), floats(&contiguous(weight)));
            grads.register::<Flex>(node.id, tensor(dx, [conv.batch, conv.cin, conv.h, conv.w]));
        }
        if let (Some(node), Some(x)) = (weight_node, x) {
            let dw = conv.weight_gradient(floats(&contiguous(x)), floats(&dy));
            grads.register::<Flex>(node.id, tensor(dw, [conv.cout, conv.cin, conv.k, conv.k]));
        }
    }
}

fn conv(x: &FloatTensor<Flex>, weight: &FloatTensor<Flex>, stride: usize) -> Conv {
    let [batch, cin, h, w] = x.layout().shape().dims();
    let [cout, _, k, _] = weight.layout().shape().dims();
    assert_eq!(
        *weight.layout().shape(),
        Shape::new([cout, cin, k, k]),
        "the weight of a convolution of {cin} channels"
    );
    Conv { batch, cin, cout, h, w, k, stride }
}
