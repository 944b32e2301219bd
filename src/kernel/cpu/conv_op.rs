//! The convolution of [`super::conv`] as operations of burn's CPU backend, with their backward passes.

use std::sync::Arc;

use crate::kernel::{self, gated_tangent::GatedTangent, prelude::*};

use super::{
    burn_glue::{contiguous, dims, floats, tensor},
    norm::Channels,
    op_args::{BatchNormValues, ConvArgs, GateTangentTensors, GateTensors},
    profile,
    weight_layouts::WeightLayouts,
};

/// See [`crate::kernel::conv2d`].
pub fn conv2d(x: Tensor<4>, weight: &kernel::Weight, stride: usize, residual: Option<Tensor<4>>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::convolve(x.into_dispatch(), Filter::new(weight, stride, residual)))
}

/// See [`crate::kernel::norm_relu_conv2d`].
pub fn norm_relu_conv2d(
    x: Tensor<4>,
    norm: &kernel::BatchNormParams,
    weight: &kernel::Weight,
    stride: usize,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    let [gamma, beta, mean, variance] =
        [&norm.gamma, &norm.beta, &norm.mean, &norm.variance].map(|t| t.clone().into_dispatch());
    let (epsilon, batch_statistics) = (norm.epsilon, norm.batch_statistics);
    let norm = NormTensors { gamma, beta, mean, variance, epsilon, batch_statistics };
    let filter = Filter::new(weight, stride, residual);
    Tensor::from_dispatch(Dispatch::convolve_normalized(x.into_dispatch(), norm, filter))
}

/// See [`crate::kernel::norm_relu_conv2d_tangent`]; the normalization is given as scale and shift.
pub fn norm_relu_conv2d_tangent(
    x: Tensor<4>,
    scale_and_shift: [Tensor<1>; 2],
    tangent: kernel::NormTangent,
    weight: &kernel::Weight,
    stride: usize,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    let gate = GatedTangent::new(scale_and_shift, tangent);
    let filter = Filter::new(weight, stride, residual);
    Tensor::from_dispatch(Dispatch::convolve_tangent(x.into_dispatch(), gate, filter))
}

/// Weight of a convolution, `[out, C, k, k]`, and the arguments that go with it.
#[derive(ExtensionType)]
pub struct Filter<B: Backend> {
    weight: FloatTensor<B>,
    layouts: Arc<WeightLayouts>,
    stride: usize,
    #[extension_type]
    residual: Residual<B>,
}

/// Tensor that is added to the output of a convolution. burn's extension types do not support `Option`.
#[derive(ExtensionType)]
pub enum Residual<B: Backend> {
    Added(FloatTensor<B>),
    None,
}

/// Parameters of a batch normalization, `[C]` each.
#[derive(ExtensionType)]
pub struct NormTensors<B: Backend> {
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    epsilon: f32,
    batch_statistics: bool,
}

impl Filter<Dispatch> {
    fn new(weight: &kernel::Weight, stride: usize, residual: Option<Tensor<4>>) -> Self {
        let residual = residual.map_or(Residual::None, |residual| Residual::Added(residual.into_dispatch()));
        let layouts = weight.cpu_layouts.clone();
        Self { weight: weight.tensor.clone().into_dispatch(), layouts, stride, residual }
    }
}

impl<B: Backend> Residual<B> {
    fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Added(tensor) => Some(tensor),
            Self::None => None,
        }
    }
}

#[backend_extension(Flex, Autodiff)]
trait Convolve: Backend {
    /// Convolves feature maps.
    fn convolve(x: FloatTensor<Self>, #[extension_type] filter: Filter<Self>) -> FloatTensor<Self>;

    /// Convolves relu(gamma (x - mean) / sqrt(variance + epsilon) + beta). Mean and variance get no gradient. If they
    /// are the statistics of x, the gradient of x includes the part that flows through them.
    fn convolve_normalized(
        x: FloatTensor<Self>,
        #[extension_type] norm: NormTensors<Self>,
        #[extension_type] filter: Filter<Self>,
    ) -> FloatTensor<Self>;

    /// Convolves a t + b x + c where scale x + shift is positive, and 0 elsewhere. Scale and shift get no gradient.
    fn convolve_tangent(
        x: FloatTensor<Self>,
        #[extension_type] gate: GatedTangent<Self>,
        #[extension_type] filter: Filter<Self>,
    ) -> FloatTensor<Self>;
}

impl Convolve for Flex {
    fn convolve(x: FloatTensor<Self>, filter: Filter<Self>) -> FloatTensor<Self> {
        let Filter { weight, layouts, stride, residual } = filter;
        ConvArgs::new(x, weight, layouts, stride, None).forward(residual.into_option())
    }

    fn convolve_normalized(x: FloatTensor<Self>, norm: NormTensors<Self>, filter: Filter<Self>) -> FloatTensor<Self> {
        let Filter { weight, layouts, stride, residual } = filter;
        let NormTensors { gamma, beta, mean, variance, epsilon, batch_statistics } = norm;
        let (gate, _) = BatchNormValues::fold([gamma, beta, mean, variance], epsilon, batch_statistics);
        ConvArgs::new(x, weight, layouts, stride, Some(gate)).forward(residual.into_option())
    }

    fn convolve_tangent(x: FloatTensor<Self>, gate: GatedTangent<Self>, filter: Filter<Self>) -> FloatTensor<Self> {
        let Filter { weight, layouts, stride, residual } = filter;
        let GatedTangent { scale, shift, t, a, b, c } = gate;
        let [t, a, b, c, scale, shift] = [t, a, b, c, scale, shift].map(contiguous);
        let gate = GateTensors { scale, shift, tangent: Some(GateTangentTensors { t, a, b, c }) };
        ConvArgs::new(x, weight, layouts, stride, Some(gate)).forward(residual.into_option())
    }
}

impl<C: CheckpointStrategy> Convolve for Autodiff<Flex, C> {
    fn convolve(x: FloatTensor<Self>, filter: Filter<Self>) -> FloatTensor<Self> {
        let Filter { weight, layouts, stride, residual } = filter;
        let args = ConvArgs::new(x.primitive().clone(), weight.primitive().clone(), layouts, stride, None);
        let residual = residual.into_option();
        // Without a residual, the node of x fills its place and gets no gradient there.
        let residual_node = residual.as_ref().map_or_else(|| x.node(), |r| r.node());
        let nodes = [x.node(), weight.node(), residual_node];
        let has_residual = residual.is_some();
        let output = args.forward(residual.map(|r| r.into_primitive()));
        match PlainBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((args, has_residual), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn convolve_normalized(x: FloatTensor<Self>, norm: NormTensors<Self>, filter: Filter<Self>) -> FloatTensor<Self> {
        let Filter { weight, layouts, stride, residual } = filter;
        let NormTensors { gamma, beta, mean, variance, epsilon, batch_statistics } = norm;
        let tensors = [&gamma, &beta, &mean, &variance].map(|t| t.primitive().clone());
        let (gate, norm) = BatchNormValues::fold(tensors, epsilon, batch_statistics);
        let args = ConvArgs::new(x.primitive().clone(), weight.primitive().clone(), layouts, stride, Some(gate));
        let residual = residual.into_option();
        let residual_node = residual.as_ref().map_or_else(|| x.node(), |r| r.node());
        let nodes = [x.node(), gamma.node(), beta.node(), weight.node(), residual_node];
        let has_residual = residual.is_some();
        let output = args.forward(residual.map(|r| r.into_primitive()));
        match NormalizedBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((args, norm, has_residual), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn convolve_tangent(x: FloatTensor<Self>, gate: GatedTangent<Self>, filter: Filter<Self>) -> FloatTensor<Self> {
        let Filter { weight, layouts, stride, residual } = filter;
        let GatedTangent { scale, shift, t, a, b, c } = gate;
        let residual = residual.into_option();
        let residual_node = residual.as_ref().map_or_else(|| x.node(), |r| r.node());
        let nodes = [x.node(), t.node(), a.node(), b.node(), c.node(), weight.node(), residual_node];
        let has_residual = residual.is_some();
        let [t, a, b, c, scale, shift] = [&t, &a, &b, &c, &scale, &shift].map(|t| contiguous(t.primitive().clone()));
        let gate = GateTensors { scale, shift, tangent: Some(GateTangentTensors { t, a, b, c }) };
        let args = ConvArgs::new(x.primitive().clone(), weight.primitive().clone(), layouts, stride, Some(gate));
        let output = args.forward(residual.map(|r| r.into_primitive()));
        match TangentBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((args, has_residual), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// Registers `values` as the gradient of `node`, if the node needs one.
fn register<const D: usize>(grads: &mut Gradients, node: Option<NodeId>, values: Vec<f32>, shape: [usize; D]) {
    if let Some(node) = node {
        grads.register::<Flex>(node, tensor(values, shape));
    }
}

/// Registers the gradients of the weight and of the residual, if their nodes need them. The gradient of the residual is
/// `dy`.
fn register_weight_and_residual(
    grads: &mut Gradients,
    args: &ConvArgs,
    dy: FloatTensor<Flex>,
    weight: Option<NodeId>,
    residual: Option<NodeId>,
) {
    if let Some(node) = weight {
        let dw = args.dims.weight_gradient(&args.maps(), floats(&dy));
        grads.register::<Flex>(node, tensor(dw, dims(&args.weight)));
    }
    if let Some(node) = residual {
        grads.register::<Flex>(node, dy);
    }
}

#[derive(Debug)]
struct PlainBackward;

impl Backward<Flex, 3> for PlainBackward {
    /// The arguments, and whether there is a residual.
    type State = (ConvArgs, bool);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x, weight, residual] = ops.parents.map(|node| node.map(|node| node.id));
        let (args, has_residual) = ops.state;
        if x.is_some() {
            let gradient = args.dims.input_gradient(floats(&dy), args.weight(), &args.maps());
            register(grads, x, gradient.dx, dims(&args.x));
        }
        register_weight_and_residual(grads, &args, dy, weight, residual.filter(|_| has_residual));
    }
}

#[derive(Debug)]
struct NormalizedBackward;

impl Backward<Flex, 5> for NormalizedBackward {
    /// The arguments, the normalization, and whether there is a residual.
    type State = (ConvArgs, BatchNormValues, bool);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x, gamma, beta, weight, residual] = ops.parents.map(|node| node.map(|node| node.id));
        let (args, norm, has_residual) = ops.state;
        let channels = args.dims.cin;
        if x.is_some() || gamma.is_some() || beta.is_some() {
            let gradient = args.dims.input_gradient(floats(&dy), args.weight(), &args.maps());
            let (mut dx, [_, dscale, dshift]) = (gradient.dx, gradient.factors);
            let of_norm = norm.gradient(&dscale, &dshift);
            if norm.batch_statistics && x.is_some() {
                let _timer = profile::time("moments gradient", || (args.dims.to_string(), 0));
                let x = floats(&args.x);
                Channels(channels).add_moments_gradient(&mut dx, x, &norm.mean, &of_norm.mean, &of_norm.variance);
            }
            register(grads, x, dx, dims(&args.x));
            register(grads, gamma, of_norm.gamma, [channels]);
            register(grads, beta, dshift, [channels]);
        }
        register_weight_and_residual(grads, &args, dy, weight, residual.filter(|_| has_residual));
    }
}

#[derive(Debug)]
struct TangentBackward;

impl Backward<Flex, 7> for TangentBackward {
    /// The arguments, and whether there is a residual.
    type State = (ConvArgs, bool);

    fn backward(self, ops: Ops<Self::State, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x, t, a, b, c, weight, residual] = ops.parents.map(|node| node.map(|node| node.id));
        let (args, has_residual) = ops.state;
        let channels = args.dims.cin;
        let gradient = args.dims.input_gradient(floats(&dy), args.weight(), &args.maps());
        register(grads, x, gradient.dx, dims(&args.x));
        register(grads, t, gradient.dt.expect("a gradient of the tangent"), dims(&args.x));
        for (node, factor) in [a, b, c].into_iter().zip(gradient.factors) {
            register(grads, node, factor, [channels]);
        }
        register_weight_and_residual(grads, &args, dy, weight, residual.filter(|_| has_residual));
    }
}
