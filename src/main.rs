//! The page's binary. burn is not in it: see `src/worker.rs`.

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    otjr::app::page::mount();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("The page runs in a browser: native/serve builds and serves it.");
}
