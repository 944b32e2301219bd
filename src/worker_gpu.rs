//! The worker, built with the WebGPU backend (cargo wants a file for each binary).

#[path = "worker.rs"]
mod worker;

fn main() {
    worker::main();
}
