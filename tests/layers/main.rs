//! Modules import from the layers below them only: no cycles, neither in the library nor in the page.
//!
//! The test reads the `use` declarations and the inline `crate::`, `super::` and `self::` paths of every file in `src`.
//! Comments and strings are ignored.

mod paths;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use paths::{Reference, references};

/// Layers of modules under a common parent, the lowest first. A module may import from lower layers and from itself. Modules
/// of the same layer do not import each other.
struct Layers {
    /// The parent module.
    parent: &'static [&'static str],
    layers: &'static [&'static [&'static str]],
}

/// The library.
const LIBRARY: Layers = Layers {
    parent: &[],
    layers: &[
        &["platform", "random", "settings"],
        &["kernel"],
        &["data", "prediction"],
        &["batch"],
        &["model"],
        &["checkpoint"],
        &["loss", "pytorch"],
        &["attack"],
        &["evaluate", "explore"],
        &["train"],
        &["verify"],
        &["protocol"],
        &["session"],
        &["app", "worker"],
    ],
};

/// The page.
const PAGE: Layers = Layers {
    parent: &["app"],
    layers: &[
        &["domain"],
        &["chart"],
        &["state"],
        &["update"],
        &["present", "browser"],
        &["runtime"],
        &["components"],
        &["page"],
    ],
};

/// An import that breaks the rule.
#[derive(Debug, PartialEq)]
struct Violation {
    file: PathBuf,
    line: usize,
    importer: String,
    imported: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, importer, imported } = self;
        write!(f, "{}:{line}: `{importer}` imports `{imported}`", file.display())
    }
}

impl Layers {
    fn level(&self, module: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.contains(&module))
    }

    /// The module of these layers that a path belongs to, such as `state` of `app::state::run::Run`.
    fn member<'a>(&self, path: &'a [String]) -> Option<&'a str> {
        let rest = path.strip_prefix(self.parent.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>().as_slice())?;
        rest.first().map(String::as_str)
    }

    fn allows(&self, importer: &str, imported: &str) -> bool {
        match (self.level(importer), self.level(imported)) {
            (Some(importer_level), Some(imported_level)) => importer == imported || imported_level < importer_level,
            // Macros and items of the crate root belong to no layer.
            _ => true,
        }
    }

    fn violations(&self, file: &Path, module: &[String], source: &str) -> Vec<Violation> {
        let Some(importer) = self.member(module) else { return Vec::new() };
        let mut found = Vec::new();
        for Reference { line, path } in references(module, source) {
            let Some(imported) = self.member(&path) else { continue };
            if !self.allows(importer, imported) {
                let (importer, imported) = (importer.to_owned(), path.join("::"));
                found.push(Violation { file: file.to_owned(), line, importer, imported });
            }
        }
        found
    }

    /// States the rule and lists the violations.
    fn check(&self) {
        let mut found = Vec::new();
        for (file, module) in source_files() {
            let source = fs::read_to_string(&file).unwrap();
            found.extend(self.violations(&file, &module, &source));
        }
        let order: Vec<String> = self.layers.iter().map(|layer| layer.join(", ")).collect();
        let lines: Vec<String> = found.iter().map(Violation::to_string).collect();
        assert!(
            found.is_empty(),
            "A module imports only from layers to its left; modules of one layer do not import each other:\n  {}\n{}",
            order.join(" -> "),
            lines.join("\n")
        );
    }
}

/// All files of the library with their module paths.
fn source_files() -> Vec<(PathBuf, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &[], &mut files);
    files
}

fn collect(folder: &Path, module: &[String], files: &mut Vec<(PathBuf, Vec<String>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(&path, &[module, &[name]].concat(), files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let is_folder_root = ["mod", "lib", "main"].contains(&name.as_str());
            let path_of_module = if is_folder_root { module.to_vec() } else { [module, &[name]].concat() };
            files.push((path, path_of_module));
        }
    }
}

#[test]
fn the_page_imports_downwards_only() {
    PAGE.check();
}

#[test]
fn the_library_imports_downwards_only() {
    LIBRARY.check();
}

/// A module that is missing from the tables would not be checked.
#[test]
fn every_module_has_a_layer() {
    for layers in [LIBRARY, PAGE] {
        for (file, module) in source_files() {
            // The build script and the binaries are not part of the library.
            if ["build", "bin"].contains(&module.first().map_or("", String::as_str)) {
                continue;
            }
            if let Some(member) = layers.member(&module) {
                assert!(layers.level(member).is_some(), "{}: `{member}` has no layer in tests/layers", file.display());
            }
        }
    }
}

#[test]
fn an_upward_import_is_found() {
    let module = ["app", "domain", "format"].map(String::from);
    let source = "//! Text.\n\nuse crate::{\n    app::state::{State, run::Run},\n    protocol::Slot,\n};\n";
    let found = PAGE.violations(Path::new("format.rs"), &module, source);
    let text: Vec<String> = found.iter().map(Violation::to_string).collect();
    let expected =
        ["format.rs:4: `domain` imports `app::state::State`", "format.rs:4: `domain` imports `app::state::run::Run`"];
    assert_eq!(text, expected);
}

#[test]
fn siblings_do_not_import_each_other() {
    let module = ["app", "present", "verdict"].map(String::from);
    let count = |source| PAGE.violations(Path::new("verdict.rs"), &module, source).len();
    assert_eq!(count("use crate::app::browser::dom;"), 1);
    assert_eq!(count("fn f() { super::super::browser::dom::window(); }"), 1);
    assert_eq!(count("use super::figures::Figure; use crate::app::state::State;"), 0);
}

#[test]
fn the_page_is_the_top_layer_of_the_library() {
    let module = ["protocol"].map(String::from);
    assert_eq!(LIBRARY.violations(Path::new("protocol.rs"), &module, "use crate::app::state::State;").len(), 1);
}
