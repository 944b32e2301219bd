//! Normalization, ReLU and their tangents on NHWC feature maps as operations of burn's GPU backend, with their backward
//! passes.

use burn_cubecl::tensor::CubeTensor;

use crate::kernel::{NormTangent, gated_tangent::GatedTangent, prelude::*};

use super::channels::{self, ChannelPass};

/// See [`affine`](crate::kernel::affine).
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>, relu: bool) -> Tensor<4> {
    let [scale, shift] = [scale, shift].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::affine_on_gpu(x.into_dispatch(), scale, shift, relu))
}

/// Returns a t + b x + c where scale x + shift is positive, and 0 elsewhere. Scale and shift get no gradient.
pub fn gated_tangent(x: Tensor<4>, scale_and_shift: [Tensor<1>; 2], tangent: NormTangent) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::tangent_on_gpu(x.into_dispatch(), GatedTangent::new(scale_and_shift, tangent)))
}

/// Returns mean and biased variance of each channel, `[2, C]`.
pub fn moments(x: Tensor<4>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::moments_on_gpu(x.into_dispatch()))
}

/// Returns the means of t and of x t over each channel, `[2, C]`.
pub fn cross_moments(x: Tensor<4>, t: Tensor<4>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::cross_moments_on_gpu(x.into_dispatch(), t.into_dispatch()))
}

#[backend_extension(Cube, Autodiff)]
trait Normalize: Backend {
    fn affine_on_gpu(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;
    fn tangent_on_gpu(x: FloatTensor<Self>, #[extension_type] tangent: GatedTangent<Self>) -> FloatTensor<Self>;
    fn moments_on_gpu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn cross_moments_on_gpu(x: FloatTensor<Self>, t: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Returns the number of values of each channel: B H W.
fn values_per_channel(x: &CubeTensor) -> f32 {
    let [b, h, w, _] = x.shape().dims();
    (b * h * w) as f32
}

/// Returns the first `N` rows of a matrix.
fn rows<const N: usize>(matrix: &CubeTensor) -> [CubeTensor; N] {
    let [_, channels] = matrix.shape().dims();
    std::array::from_fn(|row| {
        let row = Cube::float_slice(matrix.clone(), &[(row..row + 1).into(), (0..channels).into()]);
        Cube::float_reshape(row, [channels].into())
    })
}

fn times(tensor: CubeTensor, factor: f32) -> CubeTensor {
    Cube::float_mul_scalar(tensor, factor.into())
}

impl Normalize for Cube {
    fn affine_on_gpu(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        let pass = if relu { ChannelPass::AffineRelu } else { ChannelPass::Affine };
        channels::run(pass, [&x], [&scale, &shift]).into_map()
    }

    fn tangent_on_gpu(x: FloatTensor<Self>, tangent: GatedTangent<Self>) -> FloatTensor<Self> {
        let GatedTangent { scale, shift, t, a, b, c } = tangent;
        channels::run(ChannelPass::Tangent, [&x, &t], [&scale, &shift, &a, &b, &c]).into_map()
    }

    fn moments_on_gpu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let n = values_per_channel(&x);
        let mean = times(channels::run(ChannelPass::Sum, [&x], []).sums(), 1.0 / n);
        let [mean_row] = rows(&mean);
        let variance = times(channels::run(ChannelPass::SquaredDeviations, [&x], [&mean_row]).sums(), 1.0 / n);
        Cube::float_cat(vec![mean, variance], 0)
    }

    fn cross_moments_on_gpu(x: FloatTensor<Self>, t: FloatTensor<Self>) -> FloatTensor<Self> {
        times(channels::run(ChannelPass::CrossSums, [&x, &t], []).sums(), 1.0 / values_per_channel(&x))
    }
}

impl<C: CheckpointStrategy> Normalize for Autodiff<Cube, C> {
    fn affine_on_gpu(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        let prepared = AffineBackward.prepare::<C>([x.node(), scale.node(), shift.node()]).compute_bound().stateful();
        let [x, scale, shift] = [x, scale, shift].map(|tensor| tensor.into_primitive());
        let output = Cube::affine_on_gpu(x.clone(), scale.clone(), shift.clone(), relu);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(AffineState { x, scale, shift, relu }, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn tangent_on_gpu(x: FloatTensor<Self>, tangent: GatedTangent<Self>) -> FloatTensor<Self> {
        let GatedTangent { scale, shift, t, a, b, c } = tangent;
        let nodes = [&x, &t, &a, &b, &c].map(|tensor| tensor.node());
        let state = [x, t, scale, shift, a, b].map(|tensor| tensor.into_primitive());
        let [x, t, scale, shift, a, b] = state.clone();
        let output = Cube::tangent_on_gpu(x, GatedTangent { scale, shift, t, a, b, c: c.into_primitive() });
        match TangentBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn moments_on_gpu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = MomentsBackward.prepare::<C>([x.node()]).compute_bound().stateful();
        let x = x.into_primitive();
        let output = Cube::moments_on_gpu(x.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((x, output.clone()), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn cross_moments_on_gpu(x: FloatTensor<Self>, t: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = CrossMomentsBackward.prepare::<C>([x.node(), t.node()]).compute_bound().stateful();
        let (x, t) = (x.into_primitive(), t.into_primitive());
        let output = Cube::cross_moments_on_gpu(x.clone(), t.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((x, t), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// Registers the gradient of `node`, if the node needs one.
fn register(grads: &mut Gradients, node: Option<NodeId>, gradient: CubeTensor) {
    if let Some(node) = node {
        grads.register::<Cube>(node, gradient);
    }
}

#[derive(Debug)]
struct AffineBackward;

/// Tensors that the backward pass of `affine` needs.
#[derive(Clone, Debug)]
struct AffineState {
    x: CubeTensor,
    scale: CubeTensor,
    shift: CubeTensor,
    relu: bool,
}

impl Backward<Cube, 3> for AffineBackward {
    type State = AffineState;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Cube>(&ops.node);
        let AffineState { x, scale, shift, relu } = ops.state;
        let [x_node, scale_node, shift_node] = ops.parents.map(|node| node.map(|node| node.id));
        let output = match relu {
            true => channels::run(ChannelPass::AffineReluBackward, [&x, &dy], [&scale, &shift]),
            false => channels::run(ChannelPass::AffineBackward, [&x, &dy], [&scale]),
        };
        if scale_node.is_some() || shift_node.is_some() {
            let [dscale, dshift] = rows(&output.sums());
            register(grads, scale_node, dscale);
            register(grads, shift_node, dshift);
        }
        register(grads, x_node, output.into_map());
    }
}

#[derive(Debug)]
struct TangentBackward;

impl Backward<Cube, 5> for TangentBackward {
    /// x, t, scale, shift, a and b.
    type State = [CubeTensor; 6];

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Cube>(&ops.node);
        let [x, t, scale, shift, a, b] = ops.state;
        let nodes = ops.parents.map(|node| node.map(|node| node.id));
        let output = channels::run(ChannelPass::TangentBackward, [&x, &t, &dy], [&scale, &shift, &a, &b]);
        let factors = rows::<3>(&output.sums());
        for (node, gradient) in nodes.into_iter().zip(output.maps.into_iter().chain(factors)) {
            register(grads, node, gradient);
        }
    }
}

#[derive(Debug)]
struct MomentsBackward;

impl Backward<Cube, 1> for MomentsBackward {
    /// x and its moments.
    type State = (CubeTensor, CubeTensor);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [dmean, dvariance] = rows(&grads.consume::<Cube>(&ops.node));
        let (x, moments) = ops.state;
        let [Some(node)] = ops.parents else { return };
        let [mean, _] = rows(&moments);
        // d mean / dx = 1/n, d variance / dx = 2 (x - mean) / n.
        let n = values_per_channel(&x);
        let scale = times(dvariance, 2.0 / n);
        let shift = Cube::float_sub(times(dmean, 1.0 / n), Cube::float_mul(scale.clone(), mean));
        grads.register::<Cube>(node.id, channels::run(ChannelPass::Affine, [&x], [&scale, &shift]).into_map());
    }
}

#[derive(Debug)]
struct CrossMomentsBackward;

impl Backward<Cube, 2> for CrossMomentsBackward {
    /// x and t.
    type State = (CubeTensor, CubeTensor);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [dmean, dproduct] = rows(&grads.consume::<Cube>(&ops.node));
        let (x, t) = ops.state;
        let [x_node, t_node] = ops.parents.map(|node| node.map(|node| node.id));
        let n = values_per_channel(&x);
        let (scale, shift) = (times(dproduct, 1.0 / n), times(dmean, 1.0 / n));
        if let Some(node) = x_node {
            let zero = times(shift.clone(), 0.0);
            grads.register::<Cube>(node, channels::run(ChannelPass::Affine, [&t], [&scale, &zero]).into_map());
        }
        if let Some(node) = t_node {
            grads.register::<Cube>(node, channels::run(ChannelPass::Affine, [&x], [&scale, &shift]).into_map());
        }
    }
}
