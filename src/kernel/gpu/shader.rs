//! Launching of WGSL kernels.

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

/// Template of a WGSL kernel and its compile-time constants. The buffers of the text are the inputs and the outputs of
/// [`launch`], in order.
pub trait Shader: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// Returns the WGSL text. A line with `$i` is repeated for each i below [`Shader::repeats`].
    fn text(&self) -> String;

    /// Returns the names and values of the constants.
    fn constants(&self) -> Vec<(&'static str, usize)>;

    /// Returns the number of repetitions of lines with `$i`.
    fn repeats(&self) -> usize;

    /// Returns the number of threads of a workgroup, the constant THREADS of the text.
    fn threads(&self) -> usize;

    /// Returns whether the type `real` of the text is float16 instead of float32. With float16, lines that end in
    /// `// HALF` are present and `PART_x` means `part_x`; otherwise it means `x`.
    fn f16(&self) -> bool {
        false
    }
}

/// Runs `shader` with the given numbers of workgroups on contiguous float32 tensors. Returns outputs of the given
/// shapes.
///
/// # Panics
/// If there are no inputs.
pub fn launch<S: Shader>(
    shader: S,
    workgroups: [usize; 3],
    inputs: Vec<CubeTensor>,
    output_shapes: Vec<Vec<usize>>,
) -> Vec<CubeTensor> {
    let first = &inputs[0];
    let empty = |shape: Vec<usize>| {
        empty_device_contiguous_dtype(first.client.clone(), first.device.clone(), shape.into(), DType::F32)
    };
    let outputs = output_shapes.into_iter().map(empty).collect::<Vec<_>>();
    let buffers = inputs.iter().chain(&outputs).map(|tensor| tensor.handle.clone().binding());
    let arguments = KernelArguments::new().with_buffers(buffers.collect());
    let [x, y, z] = workgroups.map(|n| n as u32);
    first.client.launch(Box::new(WgslKernel(shader)), CubeCount::Static(x, y, z), arguments);
    outputs
}

struct WgslKernel<S>(S);

impl<S: Shader> KernelMetadata for WgslKernel<S> {
    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(self.0.clone())
    }

    fn address_type(&self) -> ElemType {
        ElemType::UInt(UIntKind::U32)
    }
}

impl<S: Shader> CubeKernel for WgslKernel<S> {
    fn define(&self) -> KernelDefinition {
        let dim = Dim3 { x: self.0.threads() as u32, y: 1, z: 1 };
        // No added bounds checks: the text itself checks every index that can be out of bounds, and every loop ends.
        let settings = KernelSettings::new(dim, ExecutionMode::Unchecked, AddressType::U32);
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        let Self(shader) = self;
        let f16 = shader.f16();
        let mut source = String::from(if f16 { "enable f16;\nalias real = f16;\n" } else { "alias real = f32;\n" });
        for (name, value) in shader.constants().into_iter().chain([("THREADS", shader.threads())]) {
            source += &format!("const {name} = {value};\n");
        }
        for line in shader.text().lines() {
            if line.ends_with("// HALF") && !f16 {
                continue;
            }
            let line = line.replace("PART_", if f16 { "part_" } else { "" });
            let repeats = if line.contains("$i") && !line.starts_with("//") { shader.repeats() } else { 1 };
            for i in 0..repeats {
                source += &line.replace("$i", &i.to_string());
                source.push('\n');
            }
        }
        Some(PrecompiledSource { source, entrypoint_name: "main".into(), lang: "wgsl" })
    }
}
