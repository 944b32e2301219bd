//! What differs between a terminal and a browser: how a device is opened and how others get a turn. All target switches
//! of the core are here.

pub mod simd;
#[cfg(target_arch = "wasm32")]
pub mod thread;

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use burn::tensor::{Device, FloatDType};

/// The device to compute on, as a person asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A real GPU if there is one, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// The default adapter, even if it is emulated, or the n-th discrete one.
    Gpu(Option<usize>),
    /// The n-th GPU of NVIDIA's runtime, with the feature `cuda`.
    Cuda(usize),
    /// The n-th GPU of AMD's runtime, with the feature `rocm`.
    Rocm(usize),
    /// The device that `lend` lends there, with the feature `remote`.
    Remote(SocketAddr),
}

impl DeviceChoice {
    /// What a person may write.
    pub const NAMES: &str =
        "auto (a real GPU if there is one, else the CPU), cpu, gpu, gpu:N, cuda:N, rocm:N or ws://HOST:PORT";
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
                found.map(Self::Remote).ok_or_else(|| format!("no address is known for {host}"))
            }
            _ => Err(format!("expected {}", Self::NAMES)),
        }
    }
}

/// A device that is ready, and what to call it.
#[derive(Clone, Debug)]
pub struct Opened {
    pub device: Device,
    /// `CPU (2 threads)`, `NVIDIA H100 (Vulkan)`, ...
    pub name: String,
    /// Whether it only emulates a GPU.
    pub emulated: bool,
    /// Bytes of the largest buffer that it can compute with, if that is known.
    pub largest_buffer: Option<u64>,
}

/// What numbers are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
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
    /// Sets the precision of all tensors to come; only before the first one.
    pub fn set_precision(&mut self, precision: Precision) -> Result<(), Unavailable> {
        let float = if precision == Precision::F32 { FloatDType::F32 } else { FloatDType::F64 };
        let refuse = |e| Unavailable(format!("{} cannot compute in {precision}: {e:?}", self.name));
        self.device.configure(float).map_err(refuse)
    }
}

/// There is no such device here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Opens a device; the first use of a GPU takes a moment.
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
    // What waits for a lost device waits for ever: the worker dies of it, and the page starts another.
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
    Err(Unavailable("to reach GPUs by CUDA build with --features cuda, or choose the device gpu".into()))
}

#[cfg(feature = "rocm")]
fn rocm(index: usize) -> Result<Opened, Unavailable> {
    nth(index, "ROCm", burn::tensor::DeviceType::Rocm)
}

#[cfg(not(feature = "rocm"))]
fn rocm(_: usize) -> Result<Opened, Unavailable> {
    Err(Unavailable("to reach GPUs by ROCm build with --features rocm, or choose the device gpu".into()))
}

#[cfg(any(feature = "cuda", feature = "rocm"))]
fn nth(index: usize, runtime: &str, of: burn::tensor::DeviceType) -> Result<Opened, Unavailable> {
    let device = Device::enumerate(of).into_iter().nth(index).ok_or_else(|| {
        Unavailable(format!("{runtime} knows no GPU number {index}: choose a lower number, the device gpu, or cpu"))
    })?;
    Ok(Opened { device, name: format!("{runtime} GPU {index}"), emulated: false, largest_buffer: None })
}

#[cfg(feature = "remote")]
fn remote(address: SocketAddr) -> Result<Opened, Unavailable> {
    use burn::remote::RemoteHost;

    let absent = |e: &dyn fmt::Display| {
        Unavailable(format!("no device is lent at {address} ({e}): run `lend` there, and try again"))
    };
    // burn would try for a quarter of a minute.
    std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_secs(3)).map_err(|e| absent(&e))?;
    let host = RemoteHost::websocket(&format!("ws://{address}"));
    let device = Device::remote_options(&host).init().map_err(|e| absent(&e))?;
    Ok(Opened { device, name: format!("the device lent at {address}"), emulated: false, largest_buffer: None })
}

#[cfg(not(feature = "remote"))]
fn remote(address: SocketAddr) -> Result<Opened, Unavailable> {
    Err(Unavailable(format!("to reach {address} build with --features remote")))
}

/// What `f` makes of each number below `n`, in order: natively each in a thread of its own.
///
/// # Panics
/// If `f` does.
#[cfg(not(target_arch = "wasm32"))]
pub fn at_once<T: Send>(n: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if n == 1 {
        return vec![f(0)];
    }
    let f = &f;
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..n).map(|i| scope.spawn(move || f(i))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// As natively, one after the other.
#[cfg(target_arch = "wasm32")]
pub fn at_once<T: Send>(n: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    (0..n).map(f).collect()
}

/// Bytes that this program's memory has grown to; it never shrinks.
#[cfg(target_arch = "wasm32")]
pub fn memory() -> u64 {
    (core::arch::wasm32::memory_size(0) as u64) << 16
}

/// Not asked for natively: the system tells.
#[cfg(not(target_arch = "wasm32"))]
pub fn memory() -> u64 {
    0
}

/// Milliseconds since some fixed moment.
#[cfg(target_arch = "wasm32")]
pub fn milliseconds() -> f64 {
    js_sys::Date::now()
}

/// Milliseconds since some fixed moment.
#[cfg(not(target_arch = "wasm32"))]
pub fn milliseconds() -> f64 {
    use std::{sync::OnceLock, time::Instant};
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
}

/// Lets messages that have arrived be handled.
#[cfg(target_arch = "wasm32")]
pub async fn yield_now() {
    gloo::timers::future::TimeoutFuture::new(0).await;
}

/// Nothing waits natively.
#[cfg(not(target_arch = "wasm32"))]
pub async fn yield_now() {}
