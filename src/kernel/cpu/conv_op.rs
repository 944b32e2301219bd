//! The convolution of [`super::conv`] as operations of burn's CPU backend.

use std::sync::Arc;

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, ExtensionType, Flex,
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

use crate::kernel;

use super::{
    flex::{contiguous, dims, floats, tensor},
    norm::Channels,
    operands::{Factors, Norm, Operands, Tangent},
    packed::Packed,
    profile,
};

/// See [`crate::kernel::conv2d`].
pub fn conv2d(x: Tensor<4>, weight: &kernel::Weight, stride: usize, residual: Option<Tensor<4>>) -> Tensor<4> {
    let packed = weight.packed.clone();
    let (x, weight, residual) = (x.into_dispatch(), weight.tensor.clone().into_dispatch(), added(residual));
    Tensor::from_dispatch(Dispatch::convolve(x, weight, packed, residual, stride))
}

/// See [`crate::kernel::activated_conv2d`].
pub fn activated_conv2d(
    x: Tensor<4>,
    norm: &kernel::Norm,
    weight: &kernel::Weight,
    stride: usize,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    let [gamma, beta, mean, variance] =
        [&norm.gamma, &norm.beta, &norm.mean, &norm.variance].map(|t| t.clone().into_dispatch());
    let packed = weight.packed.clone();
    let (x, weight, residual) = (x.into_dispatch(), weight.tensor.clone().into_dispatch(), added(residual));
    let (epsilon, of_batch) = (norm.epsilon, norm.of_batch);
    Tensor::from_dispatch(Dispatch::convolve_activated(
        x, gamma, beta, mean, variance, weight, packed, residual, stride, epsilon, of_batch,
    ))
}

/// See [`crate::kernel::activated_conv2d_tangent`]; the gate is given as scale and shift.
pub fn activated_conv2d_tangent(
    x: Tensor<4>,
    [scale, shift]: [Tensor<1>; 2],
    tangent: kernel::Tangent,
    weight: &kernel::Weight,
    stride: usize,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    let kernel::Tangent { t, a, b, c } = tangent;
    let [scale, shift, a, b, c] = [scale, shift, a, b, c].map(Tensor::into_dispatch);
    let (x, t) = (x.into_dispatch(), t.into_dispatch());
    let packed = weight.packed.clone();
    let (weight, residual) = (weight.tensor.clone().into_dispatch(), added(residual));
    Tensor::from_dispatch(Dispatch::convolve_tangent(x, scale, shift, t, a, b, c, weight, packed, residual, stride))
}

/// What is added to a convolution's output: burn passes no options on.
#[derive(ExtensionType)]
pub enum Residual<B: Backend> {
    Added(FloatTensor<B>),
    None,
}

fn added(residual: Option<Tensor<4>>) -> Residual<Dispatch> {
    residual.map_or(Residual::None, |residual| Residual::Added(residual.into_dispatch()))
}

impl<B: Backend> Residual<B> {
    fn tensor(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Added(tensor) => Some(tensor),
            Self::None => None,
        }
    }
}

#[backend_extension(Flex, Autodiff)]
#[allow(clippy::too_many_arguments)]
trait Convolve: Backend {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        packed: Arc<Packed>,
        #[extension_type] residual: Residual<Self>,
        stride: usize,
    ) -> FloatTensor<Self>;

    /// Of relu(gamma (x - mean) / sqrt(variance + epsilon) + beta). No gradient goes to mean and variance themselves; if
    /// they are those of the batch it goes through them to x.
    fn convolve_activated(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        packed: Arc<Packed>,
        #[extension_type] residual: Residual<Self>,
        stride: usize,
        epsilon: f32,
        of_batch: bool,
    ) -> FloatTensor<Self>;

    /// Of a t + b x + c where scale x + shift is positive. No gradient goes to scale and shift.
    fn convolve_tangent(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        t: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        packed: Arc<Packed>,
        #[extension_type] residual: Residual<Self>,
        stride: usize,
    ) -> FloatTensor<Self>;
}

impl Convolve for Flex {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        packed: Arc<Packed>,
        residual: Residual<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        Operands::new(x, weight, packed, stride, None).forward(residual.tensor())
    }

    fn convolve_activated(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        packed: Arc<Packed>,
        residual: Residual<Self>,
        stride: usize,
        epsilon: f32,
        of_batch: bool,
    ) -> FloatTensor<Self> {
        let (gate, _) = Norm::new([gamma, beta, mean, variance], epsilon, of_batch);
        Operands::new(x, weight, packed, stride, Some(gate)).forward(residual.tensor())
    }

    fn convolve_tangent(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        t: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        packed: Arc<Packed>,
        residual: Residual<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        let [t, a, b, c, scale, shift] = [t, a, b, c, scale, shift].map(contiguous);
        let gate = Factors { scale, shift, tangent: Some(Tangent { t, a, b, c }) };
        Operands::new(x, weight, packed, stride, Some(gate)).forward(residual.tensor())
    }
}

impl<C: CheckpointStrategy> Convolve for Autodiff<Flex, C> {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        packed: Arc<Packed>,
        residual: Residual<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        let operands = Operands::new(x.primitive().clone(), weight.primitive().clone(), packed, stride, None);
        let residual = residual.tensor();
        // Where there is no residual another node stands in, and gets nothing.
        let nodes = [x.node(), weight.node(), residual.as_ref().map_or_else(|| x.node(), |r| r.node())];
        let has_residual = residual.is_some();
        let output = operands.forward(residual.map(|r| r.into_primitive()));
        match PlainBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((operands, has_residual), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn convolve_activated(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        packed: Arc<Packed>,
        residual: Residual<Self>,
        stride: usize,
        epsilon: f32,
        of_batch: bool,
    ) -> FloatTensor<Self> {
        let factors = [&gamma, &beta, &mean, &variance].map(|t| t.primitive().clone());
        let (gate, norm) = Norm::new(factors, epsilon, of_batch);
        let operands = Operands::new(x.primitive().clone(), weight.primitive().clone(), packed, stride, Some(gate));
        let residual = residual.tensor();
        let residual_node = residual.as_ref().map_or_else(|| x.node(), |r| r.node());
        let nodes = [x.node(), gamma.node(), beta.node(), weight.node(), residual_node];
        let has_residual = residual.is_some();
        let output = operands.forward(residual.map(|r| r.into_primitive()));
        match ActivatedBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((operands, norm, has_residual), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn convolve_tangent(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        t: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        packed: Arc<Packed>,
        residual: Residual<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        let residual = residual.tensor();
        let residual_node = residual.as_ref().map_or_else(|| x.node(), |r| r.node());
        let nodes = [x.node(), t.node(), a.node(), b.node(), c.node(), weight.node(), residual_node];
        let has_residual = residual.is_some();
        let [t, a, b, c, scale, shift] = [&t, &a, &b, &c, &scale, &shift].map(|t| contiguous(t.primitive().clone()));
        let gate = Factors { scale, shift, tangent: Some(Tangent { t, a, b, c }) };
        let operands = Operands::new(x.primitive().clone(), weight.primitive().clone(), packed, stride, Some(gate));
        let output = operands.forward(residual.map(|r| r.into_primitive()));
        match TangentBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((operands, has_residual), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// Hands `values` to `node`, if it wants them.
fn register<const D: usize>(grads: &mut Gradients, node: Option<NodeId>, values: Vec<f32>, shape: [usize; D]) {
    if let Some(node) = node {
        grads.register::<Flex>(node, tensor(values, shape));
    }
}

/// The gradients of the weight, where it is wanted, and of the residual, which is that of the output.
fn register_others(
    grads: &mut Gradients,
    operands: &Operands,
    dy: FloatTensor<Flex>,
    weight: Option<NodeId>,
    residual: Option<NodeId>,
) {
    if let Some(node) = weight {
        let dw = operands.conv.weight_gradient(&operands.maps(), floats(&dy));
        grads.register::<Flex>(node, tensor(dw, dims(&operands.weight)));
    }
    if let Some(node) = residual {
        grads.register::<Flex>(node, dy);
    }
}

#[derive(Debug)]
struct PlainBackward;

impl Backward<Flex, 3> for PlainBackward {
    /// And whether there is a residual.
    type State = (Operands, bool);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x, weight, residual] = ops.parents.map(|node| node.map(|node| node.id));
        let (operands, has_residual) = ops.state;
        if x.is_some() {
            let gradient = operands.conv.input_gradient(floats(&dy), operands.weight(), &operands.maps());
            register(grads, x, gradient.dx, dims(&operands.x));
        }
        register_others(grads, &operands, dy, weight, residual.filter(|_| has_residual));
    }
}

#[derive(Debug)]
struct ActivatedBackward;

impl Backward<Flex, 5> for ActivatedBackward {
    type State = (Operands, Norm, bool);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x, gamma, beta, weight, residual] = ops.parents.map(|node| node.map(|node| node.id));
        let (operands, norm, has_residual) = ops.state;
        let channels = operands.conv.cin;
        if x.is_some() || gamma.is_some() || beta.is_some() {
            let gradient = operands.conv.input_gradient(floats(&dy), operands.weight(), &operands.maps());
            let (mut dx, [_, dscale, dshift]) = (gradient.dx, gradient.factors);
            let [dgamma, dmean, dvariance] = norm.gradients(&dscale, &dshift);
            if norm.of_batch && x.is_some() {
                let _timed = profile::time("moments gradient", || (operands.conv.to_string(), 0));
                let x = floats(&operands.x);
                Channels(channels).add_moments_gradient(&mut dx, x, &norm.mean, &dmean, &dvariance);
            }
            register(grads, x, dx, dims(&operands.x));
            register(grads, gamma, dgamma, [channels]);
            register(grads, beta, dshift, [channels]);
        }
        register_others(grads, &operands, dy, weight, residual.filter(|_| has_residual));
    }
}

#[derive(Debug)]
struct TangentBackward;

impl Backward<Flex, 7> for TangentBackward {
    type State = (Operands, bool);

    fn backward(self, ops: Ops<Self::State, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x, t, a, b, c, weight, residual] = ops.parents.map(|node| node.map(|node| node.id));
        let (operands, has_residual) = ops.state;
        let channels = operands.conv.cin;
        let gradient = operands.conv.input_gradient(floats(&dy), operands.weight(), &operands.maps());
        register(grads, x, gradient.dx, dims(&operands.x));
        register(grads, t, gradient.dt.expect("there is a tangent"), dims(&operands.x));
        for (node, factor) in [a, b, c].into_iter().zip(gradient.factors) {
            register(grads, node, factor, [channels]);
        }
        register_others(grads, &operands, dy, weight, residual.filter(|_| has_residual));
    }
}
