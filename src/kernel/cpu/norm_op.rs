//! Batch normalization of [`super::norm`] as operations of burn's CPU backend, with their backward passes.

use crate::kernel::prelude::*;

use super::{
    burn_glue::{contiguous, dims, floats, tensor},
    norm::Channels,
    profile,
};

/// See [`crate::kernel::affine`].
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>, relu: bool) -> Tensor<4> {
    let (x, scale, shift) = (x.into_dispatch(), scale.into_dispatch(), shift.into_dispatch());
    Tensor::from_dispatch(Dispatch::affine(x, scale, shift, relu))
}

/// Returns mean and biased variance of each channel, `[2, C]`.
pub fn moments(x: Tensor<4>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::moments(x.into_dispatch()))
}

/// Returns the means of t and of x t over each channel, `[2, C]`.
pub fn cross_moments(x: Tensor<4>, t: Tensor<4>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::cross_moments(x.into_dispatch(), t.into_dispatch()))
}

#[backend_extension(Flex, Autodiff)]
trait Normalize: Backend {
    fn affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;
    fn moments(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn cross_moments(x: FloatTensor<Self>, t: FloatTensor<Self>) -> FloatTensor<Self>;
}

fn channels(x: &FloatTensor<Flex>) -> Channels {
    let [_, _, _, channels] = dims(x);
    Channels(channels)
}

fn timer(name: &'static str, x: &FloatTensor<Flex>) -> Option<profile::Timer> {
    profile::time(name, || {
        let [b, h, w, c] = dims(x);
        (format!("{b} x {h}x{w}, {c}"), 0)
    })
}

impl Normalize for Flex {
    fn affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        let _timer = timer("affine", &x);
        let (x, scale, shift) = (contiguous(x), contiguous(scale), contiguous(shift));
        tensor(channels(&x).affine(floats(&x), floats(&scale), floats(&shift), relu), dims(&x))
    }

    fn moments(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let _timer = timer("moments", &x);
        let x = contiguous(x);
        let channels = channels(&x);
        tensor(channels.moments(floats(&x)).concat(), [2, channels.0])
    }

    fn cross_moments(x: FloatTensor<Self>, t: FloatTensor<Self>) -> FloatTensor<Self> {
        let _timer = timer("cross moments", &x);
        let (x, t) = (contiguous(x), contiguous(t));
        let channels = channels(&x);
        tensor(channels.cross_moments(floats(&x), floats(&t)).concat(), [2, channels.0])
    }
}

impl<C: CheckpointStrategy> Normalize for Autodiff<Flex, C> {
    fn affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        let parameters_tracked = scale.is_tracked() || shift.is_tracked();
        let x_state = parameters_tracked.then(|| x.primitive().clone());
        let scale_state = x.is_tracked().then(|| scale.primitive().clone());
        let prepared = AffineBackward.prepare::<C>([x.node(), scale.node(), shift.node()]).compute_bound().stateful();
        let output = Flex::affine(x.into_primitive(), scale.into_primitive(), shift.into_primitive(), relu);
        match prepared {
            OpsKind::Tracked(prepared) => {
                let y = relu.then(|| output.clone());
                prepared.finish(AffineState { x: x_state, scale: scale_state, y }, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn moments(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x_state = x.primitive().clone();
        let prepared = MomentsBackward.prepare::<C>([x.node()]).compute_bound().stateful();
        let output = Flex::moments(x.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((x_state, output.clone()), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn cross_moments(x: FloatTensor<Self>, t: FloatTensor<Self>) -> FloatTensor<Self> {
        let state = [&x, &t].map(|t| t.primitive().clone());
        let prepared = CrossMomentsBackward.prepare::<C>([x.node(), t.node()]).compute_bound().stateful();
        let output = Flex::cross_moments(x.into_primitive(), t.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct AffineBackward;

/// Tensors that the backward pass of `affine` needs.
#[derive(Clone, Debug)]
struct AffineState {
    /// Input, if scale or shift need a gradient.
    x: Option<FloatTensor<Flex>>,
    /// Scale, if the input needs a gradient.
    scale: Option<FloatTensor<Flex>>,
    /// Output, if there is a ReLU.
    y: Option<FloatTensor<Flex>>,
}

impl Backward<Flex, 3> for AffineBackward {
    type State = AffineState;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let _timer = timer("affine gradient", &dy);
        let channels = channels(&dy);
        let AffineState { x, scale, y } = ops.state;
        let y = y.as_ref().map(floats);
        let [x_node, scale_node, shift_node] = ops.parents;
        if let (Some(node), Some(scale)) = (x_node, scale) {
            let dx = channels.affine_input_gradient(floats(&dy), y, floats(&contiguous(scale)));
            grads.register::<Flex>(node.id, tensor(dx, dims(&dy)));
        }
        if let Some(x) = x {
            let gradients = channels.affine_parameter_gradients(floats(&dy), y, floats(&contiguous(x)));
            for (node, gradient) in [scale_node, shift_node].into_iter().zip(gradients) {
                if let Some(node) = node {
                    grads.register::<Flex>(node.id, tensor(gradient, [channels.0]));
                }
            }
        }
    }
}

#[derive(Debug)]
struct MomentsBackward;

impl Backward<Flex, 1> for MomentsBackward {
    /// Input and output.
    type State = (FloatTensor<Flex>, FloatTensor<Flex>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let (x, moments) = ops.state;
        let _timer = timer("moments gradient", &x);
        let (channels, x) = (channels(&x), contiguous(x));
        let (dmean, dvariance) = floats(&gradient).split_at(channels.0);
        if let [Some(node)] = ops.parents {
            let mean = &floats(&moments)[..channels.0];
            let mut dx = vec![0.0; floats(&x).len()];
            channels.add_moments_gradient(&mut dx, floats(&x), mean, dmean, dvariance);
            grads.register::<Flex>(node.id, tensor(dx, dims(&x)));
        }
    }
}

#[derive(Debug)]
struct CrossMomentsBackward;

impl Backward<Flex, 2> for CrossMomentsBackward {
    /// x and t.
    type State = [FloatTensor<Flex>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let [x, t] = ops.state.map(contiguous);
        let _timer = timer("cross moments gradient", &x);
        let channels = channels(&x);
        let (dmean, dproduct) = floats(&gradient).split_at(channels.0);
        let gradients = channels.cross_moments_gradient(floats(&x), floats(&t), dmean, dproduct);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(gradient, dims(&x)));
            }
        }
    }
}
