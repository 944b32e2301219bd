//! Prints what was read from a file, as text or as JSON.

use otjr::model::Model;

use crate::{Arguments, input::InputModel};

/// Maximum number of renamed tensors in the text.
const MAX_RENAMED: usize = 8;

/// Prints the report. `bytes` is the size of the output file.
pub fn print(arguments: &Arguments, found: &InputModel, model: &mut Model, bytes: usize) {
    let mapping = &found.mapping;
    let parameters = model.parameters();
    let values = |name: &str| found.arrays.get(name).map(|array| array.values.clone());
    let normalization = values(Model::MEAN).zip(values(Model::STD));
    // Tensors whose names differ by more than the prefix.
    let renamed: Vec<_> = mapping
        .names
        .iter()
        .filter(|(theirs, ours)| theirs.strip_prefix(&*mapping.prefix) != Some(ours.as_str()))
        .map(|(theirs, ours)| (theirs.as_str(), ours.as_str()))
        .collect();
    if arguments.json {
        let json = serde_json::json!({
            "input": arguments.input, "output": arguments.output, "bytes": bytes, "format": found.format,
            "key": found.path, "prefix": mapping.prefix, "architecture": model.architecture.to_string(),
            "classes": model.classes, "parameters": parameters,
            "normalisation": normalization.map(|(mean, std)| serde_json::json!({"mean": mean, "std": std})),
            "renamed": renamed.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
            "left_out": mapping.left_out, "besides": found.others,
        });
        println!("{json}");
        return;
    }
    let under = if found.path.is_empty() { String::new() } else { format!(", under '{}'", found.path.escape_debug()) };
    println!("{}: {}{under}", arguments.input.display(), found.format);
    println!("  {}, {} classes, {parameters} parameters", model.architecture, model.classes);
    match normalization {
        Some((mean, std)) => println!("  includes a normalization: mean {mean:?}, std {std:?}"),
        None => println!(
            "  includes no normalization; if the original code normalizes pixels, add --mean and --std, or the logits differ"
        ),
    }
    if !mapping.prefix.is_empty() {
        println!("  removed the prefix '{}'", mapping.prefix.escape_debug());
    }
    for (theirs, ours) in renamed.iter().take(MAX_RENAMED) {
        println!("  renamed '{}' to '{ours}'", theirs.escape_debug());
    }
    if renamed.len() > MAX_RENAMED {
        println!("  renamed {} more tensors (--json lists all)", renamed.len() - MAX_RENAMED);
    }
    for (reason, names) in &mapping.left_out {
        println!("  left out: {reason} ({} tensors)", names.len());
    }
    if !found.others.is_empty() {
        println!("  left out: everything under {}", found.others.join(", "));
    }
    println!("{}: {:.1} kB", arguments.output.display(), bytes as f64 / 1000.0);
}
