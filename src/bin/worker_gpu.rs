//! The page's worker that computes on WebGPU: [`otjr::worker`], built with the feature `gpu`.

fn main() {
    otjr::worker::main();
}
