//! The page's worker that computes on the CPU: [`otjr::worker`], built with the feature `cpu`.

fn main() {
    otjr::worker::main();
}
