//! Thin wrappers of web APIs: DOM, files, storage, workers, camera, GPU.

pub mod camera;
pub mod dom;
pub mod files;
pub mod gpu;
pub mod remote_image;
pub mod service_worker;
pub mod storage;
pub mod worker_client;
