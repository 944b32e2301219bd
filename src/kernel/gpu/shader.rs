//! Launching kernels in WGSL.

use std::{fmt::Debug, hash::Hash};

use burn::tensor::DType;
use burn_cubecl::{
    cubecl::{
        ir::{ElemType, Scope, UIntKind, metadata::Info, settings::Dim3},
        prelude::*,
        server::KernelArguments,
    },
    ops::numeric::empty_device_contiguous_dtype,
    tensor::CubeTensor,
};

/// A kernel's text and the numbers that it is compiled for. Its buffers are those of `launch`, in that order.
pub trait Shader: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// Lines with `$i` are repeated for each i below [`Self::repeats`].
    fn text(&self) -> String;

    fn constants(&self) -> Vec<(&'static str, usize)>;
    fn repeats(&self) -> usize;
    /// Threads of a workgroup; THREADS in the text.
    fn threads(&self) -> usize;
    /// Whether `real` in the text is float16, and not float32. Then lines marked HALF are there, and `PART_x` is `part_x`
    /// in place of `x`.
    fn half(&self) -> bool {
        false
    }
}

/// Runs so many workgroups of `shader` on contiguous float32 tensors; gives outputs of these shapes.
pub fn launch<S: Shader>(
    shader: S,
    groups: [usize; 3],
    inputs: Vec<CubeTensor>,
    shapes: Vec<Vec<usize>>,
) -> Vec<CubeTensor> {
    let first = &inputs[0];
    let empty = |shape: Vec<usize>| {
        empty_device_contiguous_dtype(first.client.clone(), first.device.clone(), shape.into(), DType::F32)
    };
    let outputs = shapes.into_iter().map(empty).collect::<Vec<_>>();
    let buffers = inputs.iter().chain(&outputs).map(|tensor| tensor.handle.clone().binding());
    let arguments = KernelArguments::new().with_buffers(buffers.collect());
    let [x, y, z] = groups.map(|n| n as u32);
    first.client.launch(Box::new(Kernel(shader)), CubeCount::Static(x, y, z), arguments);
    outputs
}

struct Kernel<S>(S);

impl<S: Shader> KernelMetadata for Kernel<S> {
    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(self.0.clone())
    }

    fn address_type(&self) -> ElemType {
        ElemType::UInt(UIntKind::U32)
    }
}

impl<S: Shader> CubeKernel for Kernel<S> {
    fn define(&self) -> KernelDefinition {
        let dim = Dim3 { x: self.0.threads() as u32, y: 1, z: 1 };
        // Every index is checked in the text, where it can be off, and every loop ends.
        let settings = KernelSettings::new(dim, ExecutionMode::Unchecked, AddressType::U32);
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        let Self(shader) = self;
        let threads = ("THREADS", shader.threads());
        let constants = shader.constants().into_iter().chain([threads]);
        let constants = constants.map(|(name, value)| format!("const {name} = {value};\n"));
        let text = shader.text();
        let half = shader.half();
        let [real, part] =
            if half { ["enable f16;\nalias real = f16;\n", "part_"] } else { ["alias real = f32;\n", ""] };
        let lines = text.lines().filter(|line| half || !line.ends_with("// HALF")).flat_map(|line| {
            let times = if line.contains("$i") && !line.starts_with("//") { shader.repeats() } else { 1 };
            (0..times).map(move |i| line.replace("$i", &i.to_string()).replace("PART_", part) + "\n")
        });
        let source = [real.to_owned()].into_iter().chain(constants).chain(lines).collect();
        Some(PrecompiledSource { source, entrypoint_name: "main".into(), lang: "wgsl" })
    }
}
