//! Leaves out of the page's programs what no browser needs. Of `strip`, rustc tells a wasm linker to drop debug info only:
//! the functions' names stay, a third of the bytes that a user fetches.

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-bins=--strip-all");
        // What wasm-bindgen reads, and takes out.
        println!("cargo::rustc-link-arg-bins=--keep-section=__wasm_bindgen_unstable");
    }
}
