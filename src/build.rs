//! Removes function names from the page's WebAssembly files: a third of the download. The profile's `strip` option removes
//! only debug information there.

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-bins=--strip-all");
        // wasm-bindgen reads this section and removes it.
        println!("cargo::rustc-link-arg-bins=--keep-section=__wasm_bindgen_unstable");
    }
}
