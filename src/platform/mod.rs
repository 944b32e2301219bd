//! Differences between native programs and the browser: opening devices, time, threads and yielding. Except
//! for tuning constants of the kernels, all `cfg(target_arch)` switches of the core are here.

pub mod simd;
#[cfg(target_arch = "wasm32")]
pub mod thread;

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use burn::tensor::{Device, FloatDType};

/// Choice of a compute device by the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The default GPU adapter, even if it is emulated in software, or the n-th discrete one.
    Gpu(Option<usize>),
    /// The n-th GPU of CUDA; needs the feature `cuda`.
    Cuda(usize),
    /// The n-th GPU of ROCm; needs the feature `rocm`.
    Rocm(usize),
    /// A device that `serve-device` serves at this address; needs the feature `remote`.
    Remote(SocketAddr),
}

impl DeviceChoice {
    /// Accepted values, for help and error messages.
    pub const NAMES: &str =
        "auto (a hardware GPU if there is one, otherwise the CPU), cpu, gpu, gpu:N, cuda:N, rocm:N or ws://HOST:PORT";
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, n) = text.split_once(':').map_or((text, None), |(name, n)| (name, Some(n)));
        let index = |n: &str| n.parse().map_err(|_| format!("expected {name}:N, N = 0, 1, ..."));
        match (name, n) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("gpu", n) => n.map(index).transpose().map(Self::Gpu),
            ("cuda", n) => index(n.unwrap_or("0")).map(Self::Cuda),
            ("rocm", n) => index(n.unwrap_or("0")).map(Self::Rocm),
            ("ws", Some(host)) => {
                let host = host.trim_start_matches('/');
                let found = host.to_socket_addrs().map_err(|e| format!("expected ws://HOST:PORT: {e}"))?.next();
                found.map(Self::Remote).ok_or_else(|| format!("no address found for {host}"))
            }
            _ => Err(format!("expected {}", Self::NAMES)),
        }
    }
}

/// A device that is ready for use.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The device.
    pub device: Device,
    /// Name for users: `CPU (2 threads)`, `NVIDIA H100 (Vulkan)`, ...
    pub name: String,
    /// Whether it is a GPU emulated in software.
    pub emulated: bool,
    /// Maximum size of a storage buffer in bytes, if known.
    pub largest_buffer: Option<u64>,
}

/// Floating-point precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// float32.
    F32,
    /// float64.
    F64,
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "f64" => Ok(Self::F64),
            _ => Err("expected f32 or f64".into()),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if *self == Self::F32 { "f32" } else { "f64" })
    }
}

impl Opened {
    /// Sets the precision of all tensors of the device. Call it before the first tensor is created.
    ///
    /// # Errors
    /// If the device does not support the precision or already has tensors.
    pub fn set_precision(&mut self, precision: Precision) -> Result<(), Unavailable> {
        let float = if precision == Precision::F32 { FloatDType::F32 } else { FloatDType::F64 };
        let refuse = |e| Unavailable(format!("{} cannot compute in {precision}: {e:?}", self.name));
        self.device.configure(float).map_err(refuse)
    }
}

/// The device is not available; the message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Opens a device. Opening a GPU for the first time can take seconds.
///
/// # Errors
/// If the device does not exist or this build does not support it.
pub async fn open(choice: DeviceChoice) -> Result<Opened, Unavailable> {
    match choice {
        DeviceChoice::Cpu => cpu(),
        DeviceChoice::Gpu(index) => gpu(index).await,
        DeviceChoice::Cuda(index) => cuda(index),
        DeviceChoice::Rocm(index) => rocm(index),
        DeviceChoice::Remote(address) => remote(address),
        DeviceChoice::Auto => match gpu(None).await {
            Ok(gpu) if !gpu.emulated => Ok(gpu),
            _ => cpu(),
        },
    }
}

#[cfg(feature = "cpu")]
fn cpu() -> Result<Opened, Unavailable> {
    let name = match rayon::current_num_threads() {
        1 => "CPU (1 thread)".to_owned(),
        threads => format!("CPU ({threads} threads)"),
    };
    Ok(Opened { device: Device::flex(), name, emulated: false, largest_buffer: None })
}

#[cfg(not(feature = "cpu"))]
fn cpu() -> Result<Opened, Unavailable> {
    Err(Unavailable("this build has no CPU backend".into()))
}

#[cfg(feature = "gpu")]
async fn gpu(index: Option<usize>) -> Result<Opened, Unavailable> {
    use burn::tensor::{DeviceKind, wgpu::wgpu};

    let mut options = Device::wgpu_options();
    if let Some(index) = index {
        options = options.device_kind(DeviceKind::DiscreteGpu(index));
    }
    let (device, setup) = options.init_with_setup_async().await.map_err(|e| {
        Unavailable(match index {
            Some(n) => format!("there is no discrete GPU number {n}: choose the device gpu, a lower number, or cpu"),
            None => format!("no usable GPU ({e}): choose the device cpu, or install a Vulkan driver"),
        })
    })?;
    let info = setup.adapter.get_info();
    let name = if info.name.is_empty() { "WebGPU".to_owned() } else { format!("{} ({})", info.name, info.backend) };
    // Operations on a lost device never finish. The panic ends the worker, and the page starts a new one.
    #[cfg(target_arch = "wasm32")]
    setup.device.set_device_lost_callback(|_, message| panic!("the GPU was lost: {message}"));
    let limits = setup.device.limits();
    let largest_buffer = Some(limits.max_buffer_size.min(limits.max_storage_buffer_binding_size));
    Ok(Opened { device, name, emulated: info.device_type == wgpu::DeviceType::Cpu, largest_buffer })
}

#[cfg(not(feature = "gpu"))]
async fn gpu(_: Option<usize>) -> Result<Opened, Unavailable> {
    Err(Unavailable("this build has no GPU backend".into()))
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Opened, Unavailable> {
    nth(index, "CUDA", burn::tensor::DeviceType::Cuda)
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> Result<Opened, Unavailable> {
    Err(Unavailable("this build has no CUDA backend: build with --features cuda, or choose the device gpu".into()))
}

#[cfg(feature = "rocm")]
fn rocm(index: usize) -> Result<Opened, Unavailable> {
    nth(index, "ROCm", burn::tensor::DeviceType::Rocm)
}

#[cfg(not(feature = "rocm"))]
fn rocm(_: usize) -> Result<Opened, Unavailable> {
    Err(Unavailable("this build has no ROCm backend: build with --features rocm, or choose the device gpu".into()))
}

#[cfg(any(feature = "cuda", feature = "rocm"))]
fn nth(index: usize, runtime: &str, device_type: burn::tensor::DeviceType) -> Result<Opened, Unavailable> {
    let device = Device::enumerate(device_type).into_iter().nth(index).ok_or_else(|| {
        Unavailable(format!("{runtime} has no GPU number {index}: choose a lower number, the device gpu, or cpu"))
    })?;
    Ok(Opened { device, name: format!("{runtime} GPU {index}"), emulated: false, largest_buffer: None })
}

#[cfg(feature = "remote")]
fn remote(address: SocketAddr) -> Result<Opened, Unavailable> {
    use burn::remote::RemoteHost;

    let absent = |e: &dyn fmt::Display| {
        Unavailable(format!("no device is served at {address} ({e}): run `serve-device` there, and try again"))
    };
    // burn itself would retry for 15 seconds.
    std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_secs(3)).map_err(|e| absent(&e))?;
    let host = RemoteHost::websocket(&format!("ws://{address}"));
    let device = Device::remote_options(&host).init().map_err(|e| absent(&e))?;
    Ok(Opened { device, name: format!("the device at {address}"), emulated: false, largest_buffer: None })
}

#[cfg(not(feature = "remote"))]
fn remote(address: SocketAddr) -> Result<Opened, Unavailable> {
    Err(Unavailable(format!("this build has no remote backend: to use {address}, build with --features remote")))
}

/// Returns `f(0), ..., f(n - 1)`, each computed in its own thread.
///
/// # Panics
/// If `f` panics.
#[cfg(not(target_arch = "wasm32"))]
pub fn map_in_threads<T: Send>(n: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if n == 1 {
        return vec![f(0)];
    }
    let f = &f;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n).map(|i| scope.spawn(move || f(i))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Returns `f(0), ..., f(n - 1)`, computed one after the other.
#[cfg(target_arch = "wasm32")]
pub fn map_in_threads<T: Send>(n: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    (0..n).map(f).collect()
}

/// Returns the size of the WebAssembly memory in bytes. It never shrinks.
#[cfg(target_arch = "wasm32")]
pub fn wasm_memory() -> u64 {
    (core::arch::wasm32::memory_size(0) as u64) << 16
}

/// Returns 0: only the browser build measures its memory.
#[cfg(not(target_arch = "wasm32"))]
pub fn wasm_memory() -> u64 {
    0
}

/// Returns the time in milliseconds since a fixed point.
#[cfg(target_arch = "wasm32")]
pub fn milliseconds() -> f64 {
    js_sys::Date::now()
}

/// Returns the time in milliseconds since a fixed point.
#[cfg(not(target_arch = "wasm32"))]
pub fn milliseconds() -> f64 {
    use std::{sync::OnceLock, time::Instant};
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
}

/// Yields to the event loop, so that pending messages are handled.
#[cfg(target_arch = "wasm32")]
pub async fn yield_now() {
    gloo::timers::future::TimeoutFuture::new(0).await;
}

/// Does nothing: native programs have no event loop.
#[cfg(not(target_arch = "wasm32"))]
pub async fn yield_now() {}
