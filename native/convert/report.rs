//! What was found in a file, said to people or to programs.

use otjr::model::Model;

use super::{Arguments, input::Found};

pub fn print(arguments: &Arguments, found: &Found, model: &mut Model, bytes: usize) {
    let mapping = &found.mapping;
    let parameters = model.parameters();
    let values = |name: &str| found.arrays.get(name).map(|array| array.values.clone());
    let normalization = values(Model::MEAN).zip(values(Model::STD));
    let renamed: Vec<_> = mapping.names.iter().filter(|(theirs, ours)| theirs != ours).collect();
    // Beyond the prefix.
    let really: Vec<_> = renamed
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
            "renamed": really.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
            "left_out": mapping.left_out, "besides": found.besides,
        });
        println!("{json}");
        return;
    }
    let under = if found.path.is_empty() { String::new() } else { format!(", under '{}'", found.path.escape_debug()) };
    println!("{}: {}{under}", arguments.input.display(), found.format);
    println!("  {}, {} classes, {parameters} parameters", model.architecture, model.classes);
    match normalization {
        Some((mean, std)) => println!("  normalizes pixels itself: mean {mean:?}, std {std:?}"),
        None => println!(
            "  does not normalize pixels; if the code that it comes from does, give --mean and --std, or its logits differ"
        ),
    }
    if !mapping.prefix.is_empty() {
        println!("  names without their prefix '{}'", mapping.prefix.escape_debug());
    }
    for (theirs, ours) in really.iter().take(SHOWN) {
        println!("  '{}' is our '{ours}'", theirs.escape_debug());
    }
    if really.len() > SHOWN {
        println!("  and {} more so (--json has all)", really.len() - SHOWN);
    }
    for (reason, names) in &mapping.left_out {
        println!("  left out: {reason} ({} tensors)", names.len());
    }
    if !found.besides.is_empty() {
        println!("  left out: what is under {}", found.besides.join(", "));
    }
    println!("{}: {:.1} kB", arguments.output.display(), bytes as f64 / 1000.0);
}

/// Renamings that people are told of.
const SHOWN: usize = 8;
