//! Normalization, ReLU and their tangents on channels-last maps, as operations of burn's GPU backend.

use burn::{
    backend::{
        Autodiff, Backend, Cube, Dispatch, TensorMetadata,
        autodiff::{
            NodeId,
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        ops::FloatTensorOps,
        tensor::FloatTensor,
    },
    tensor::Tensor,
};
use burn_cubecl::tensor::CubeTensor;

use super::channels::{self, Pass};

/// See [`affine`](crate::kernel::affine).
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>, relu: bool) -> Tensor<4> {
    let [scale, shift] = [scale, shift].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::affine_on_gpu(x.into_dispatch(), scale, shift, relu))
}

/// a t + b x + c where scale x + shift is positive. No gradient goes to scale and shift.
pub fn gated_tangent(
    x: Tensor<4>,
    t: Tensor<4>,
    [scale, shift]: [Tensor<1>; 2],
    [a, b, c]: [Tensor<1>; 3],
) -> Tensor<4> {
    let [scale, shift, a, b, c] = [scale, shift, a, b, c].map(Tensor::into_dispatch);
    let (x, t) = (x.into_dispatch(), t.into_dispatch());
    Tensor::from_dispatch(Dispatch::tangent_on_gpu(x, t, scale, shift, a, b, c))
}

/// Mean and biased variance of each channel, `[2, C]`.
pub fn moments(x: Tensor<4>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::moments_on_gpu(x.into_dispatch()))
}

/// The means over each channel of t and of x t, `[2, C]`.
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
    fn tangent_on_gpu(
        x: FloatTensor<Self>,
        t: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn moments_on_gpu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn cross_moments_on_gpu(x: FloatTensor<Self>, t: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Pixels that a channel has.
fn area(x: &CubeTensor) -> f32 {
    let [b, h, w, _] = x.shape().dims();
    (b * h * w) as f32
}

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
        let pass = if relu { Pass::Activate } else { Pass::Affine };
        channels::run(pass, [&x], [&scale, &shift]).only_maps()
    }

    fn tangent_on_gpu(
        x: FloatTensor<Self>,
        t: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        channels::run(Pass::Tangent, [&x, &t], [&scale, &shift, &a, &b, &c]).only_maps()
    }

    fn moments_on_gpu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let mean = times(channels::run(Pass::Sum, [&x], []).sums(), 1.0 / area(&x));
        let variance = times(channels::run(Pass::Spread, [&x], [&rows::<1>(&mean)[0]]).sums(), 1.0 / area(&x));
        Cube::float_cat(vec![mean, variance], 0)
    }

    fn cross_moments_on_gpu(x: FloatTensor<Self>, t: FloatTensor<Self>) -> FloatTensor<Self> {
        times(channels::run(Pass::Cross, [&x, &t], []).sums(), 1.0 / area(&x))
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
            OpsKind::Tracked(prepared) => prepared.finish(([x, scale, shift], relu), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn tangent_on_gpu(
        x: FloatTensor<Self>,
        t: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [&x, &t, &a, &b, &c].map(|tensor| tensor.node());
        let kept = [x, t, scale, shift, a, b].map(|tensor| tensor.into_primitive());
        let [x, t, scale, shift, a, b] = kept.clone();
        let output = Cube::tangent_on_gpu(x, t, scale, shift, a, b, c.into_primitive());
        match TangentBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(kept, output),
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
        let prepared = CrossBackward.prepare::<C>([x.node(), t.node()]).compute_bound().stateful();
        let (x, t) = (x.into_primitive(), t.into_primitive());
        let output = Cube::cross_moments_on_gpu(x.clone(), t.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((x, t), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

fn register(grads: &mut Gradients, node: Option<NodeId>, gradient: CubeTensor) {
    if let Some(node) = node {
        grads.register::<Cube>(node, gradient);
    }
}

#[derive(Debug)]
struct AffineBackward;

impl Backward<Cube, 3> for AffineBackward {
    /// x, scale and shift; and whether the negative part is cut off.
    type State = ([CubeTensor; 3], bool);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Cube>(&ops.node);
        let ([x, scale, shift], relu) = ops.state;
        let [x_node, scale_node, shift_node] = ops.parents.map(|node| node.map(|node| node.id));
        let passed = match relu {
            true => channels::run(Pass::ActivateBack, [&x, &dy], [&scale, &shift]),
            false => channels::run(Pass::AffineBack, [&x, &dy], [&scale]),
        };
        if scale_node.is_some() || shift_node.is_some() {
            let [dscale, dshift] = rows(&passed.sums());
            register(grads, scale_node, dscale);
            register(grads, shift_node, dshift);
        }
        register(grads, x_node, passed.only_maps());
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
        let passed = channels::run(Pass::TangentBack, [&x, &t, &dy], [&scale, &shift, &a, &b]);
        let factors = rows::<3>(&passed.sums());
        for (node, gradient) in nodes.into_iter().zip(passed.maps.into_iter().chain(factors)) {
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
        let scale = times(dvariance, 2.0 / area(&x));
        let shift = Cube::float_sub(times(dmean, 1.0 / area(&x)), Cube::float_mul(scale.clone(), mean));
        grads.register::<Cube>(node.id, channels::run(Pass::Affine, [&x], [&scale, &shift]).only_maps());
    }
}

#[derive(Debug)]
struct CrossBackward;

impl Backward<Cube, 2> for CrossBackward {
    /// x and t.
    type State = (CubeTensor, CubeTensor);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [of_t, of_xt] = rows(&grads.consume::<Cube>(&ops.node));
        let (x, t) = ops.state;
        let [x_node, t_node] = ops.parents.map(|node| node.map(|node| node.id));
        let (scale, shift) = (times(of_xt, 1.0 / area(&x)), times(of_t, 1.0 / area(&x)));
        if let Some(node) = x_node {
            let none = times(shift.clone(), 0.0);
            grads.register::<Cube>(node, channels::run(Pass::Affine, [&t], [&scale, &none]).only_maps());
        }
        if let Some(node) = t_node {
            grads.register::<Cube>(node, channels::run(Pass::Affine, [&x], [&scale, &shift]).only_maps());
        }
    }
}
