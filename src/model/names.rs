//! Recognition of the tensor names that other repositories use for the supported networks.
//!
//! Only names that imply the same computation are accepted. For example, a WideResNet shortcut with a name other than
//! `convShortcut` may belong to a variant whose shortcut reads the input before the normalization.

use std::collections::{BTreeMap, BTreeSet};

use super::{Architecture, Error as ModelError, Model, parameter::Array};

/// Names and shapes of the tensors of a file.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Why the tensors of a file do not form a supported network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No network was recognized.
    #[error("no supported network: neither a WideResNet nor a ResNet-18{hint}. The file's tensors: {}", list(.names))]
    Unknown {
        /// All tensors of the file.
        names: Vec<String>,
        /// Explanation of a common cause.
        hint: &'static str,
    },
    /// The file contains several networks, with these prefixes.
    #[error("the file contains {} networks, under {}: an ensemble cannot be converted", .0.len(), list(.0))]
    Several(Vec<String>),
    /// Some tensors do not belong to the network.
    #[error("the file has {} tensors that a {architecture} does not have: {}{hint}", .names.len(), list(.names))]
    Unfitting {
        /// The recognized architecture.
        architecture: Architecture,
        /// The tensors.
        names: Vec<String>,
        /// Explanation of a common cause.
        hint: &'static str,
    },
    /// Some tensors of the network are missing.
    #[error("the file lacks tensors of a {architecture}: {}{hint}", list(.names))]
    Missing {
        /// The recognized architecture.
        architecture: Architecture,
        /// The tensors.
        names: Vec<String>,
        /// Explanation of a common cause.
        hint: &'static str,
    },
    /// No last layer was found under any of these names.
    #[error("the file has no last layer: none of {}", list(.0))]
    Head(Vec<String>),
    /// These tensors do not form a unique input normalization.
    #[error("the input normalization is ambiguous or incomplete: {}", list(.0))]
    Normalization(Vec<String>),
}

/// Joins the names, at most a dozen of them.
fn list(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(12).map(|name| name.escape_debug().to_string()).collect();
    let rest = names.len() - shown.len();
    shown.join(", ") + &if rest > 0 { format!(" and {rest} more") } else { String::new() }
}

/// Translation of the names of a file to the names of this crate.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Architecture of the network.
    pub architecture: Architecture,
    /// Number of classes.
    pub classes: usize,
    /// Whether the file contains an input normalization.
    pub normalized: bool,
    /// Prefix of the network's names in the file: `module.`, `model.net.`, often empty.
    pub prefix: String,
    /// Names of this crate by names of the file.
    pub names: BTreeMap<String, String>,
    /// Tensors that are not needed, by the reason.
    pub left_out: BTreeMap<&'static str, Vec<String>>,
}

/// Recognizes the network in a file and translates its names.
///
/// # Errors
/// If the file does not contain exactly one supported network.
pub fn map(shapes: &Shapes) -> Result<Mapping, Error> {
    let mut left_out: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut tensors: BTreeMap<&str, &[usize]> = BTreeMap::new();
    for (name, shape) in shapes {
        match reason_to_ignore(name, shapes) {
            Some(reason) => left_out.entry(reason).or_default().push(name.clone()),
            None => drop(tensors.insert(name, shape)),
        }
    }
    let (prefix, wide) = find_network(&tensors)?;
    let mut names = BTreeMap::new();
    let mut ours: Shapes = BTreeMap::new();
    let mut unexpected: Vec<String> = Vec::new();
    let mut normalization: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let pre_activation = pre_activation(&tensors, &prefix);
    for (&name, &shape) in &tensors {
        if let Some(ours) = normalization_buffer(name, shape) {
            normalization.entry(ours).or_default().push(name);
            continue;
        }
        let inner = name.strip_prefix(&*prefix);
        if wide && inner.is_some_and(|inner| inner.starts_with("sub_block1.")) {
            let reason = "sub_block1, which the WideResNet of TRADES creates but does not use";
            left_out.entry(reason).or_default().push(name.to_owned());
            continue;
        }
        match inner.map(|inner| rename(inner, wide, pre_activation)) {
            Some(renamed) if !ours.contains_key(&renamed) => {
                ours.insert(renamed.clone(), shape.to_vec());
                names.insert(name.to_owned(), renamed);
            }
            _ => unexpected.push(name.to_owned()),
        }
    }
    let (architecture, classes) = infer(&ours, wide, pre_activation)?;
    let expected: BTreeSet<_> = expected(architecture).into_iter().collect();
    unexpected.extend(names.iter().filter(|(_, ours)| !expected.contains(*ours)).map(|(theirs, _)| theirs.clone()));
    let missing: Vec<_> = expected.iter().filter(|name| !ours.contains_key(*name)).cloned().collect();
    let hint = if missing.iter().any(|name| name == "bn.weight") {
        " (this pre-activation network has no normalization before the pooling, like Wong2020Fast; that variant is not supported)"
    } else if missing.iter().any(|name| name == "fc.bias" || name == "linear.bias") {
        " (a last layer without bias usually means that the code normalizes its weights; that variant is not supported)"
    } else if unexpected.iter().any(|name| name.contains("popup_scores") || name.ends_with("_mask")) {
        " (a pruned network: apply its masks in PyTorch and save the result)"
    } else {
        ""
    };
    if !unexpected.is_empty() {
        unexpected.sort();
        return Err(Error::Unfitting { architecture, names: unexpected, hint });
    }
    if !missing.is_empty() {
        return Err(Error::Missing { architecture, names: missing, hint });
    }
    let normalized = !normalization.is_empty();
    match normalization.values().map(Vec::as_slice).collect::<Vec<_>>()[..] {
        [] => (),
        [[_], [_]] => {
            names.extend(normalization.iter().map(|(ours, theirs)| (theirs[0].to_owned(), (*ours).to_owned())))
        }
        _ => return Err(Error::Normalization(normalization.values().flatten().map(|&name| name.to_owned()).collect())),
    }
    Ok(Mapping { architecture, classes, normalized, prefix, names, left_out })
}

/// Returns why a tensor is not needed, or `None` if it is needed.
fn reason_to_ignore(name: &str, shapes: &Shapes) -> Option<&'static str> {
    if name.ends_with("num_batches_tracked") {
        return Some("num_batches_tracked, counters of training steps");
    }
    if name.ends_with("total_ops") || name.ends_with("total_params") {
        return Some("counters of a profiler");
    }
    // The library `robustness` stores a second copy of the model in its attacker.
    let attacker = name.split_once("attacker.").map(|(before, after)| format!("{before}{after}"));
    let original = attacker?;
    let original_shape = shapes.get(&original).or_else(|| shapes.get(&original.replace("normalize.", "normalizer.")));
    if original_shape == shapes.get(name) { Some("the attacker's copy of the network") } else { None }
}

/// Finds the network: returns the prefix of its names and whether it is a WideResNet.
fn find_network(tensors: &BTreeMap<&str, &[usize]>) -> Result<(String, bool), Error> {
    let anchors = [("block1.layer.0.conv1.weight", true), ("layer1.0.conv1.weight", false)];
    let found = tensors.keys().flat_map(|name| {
        anchors.into_iter().filter_map(|(end, wide)| Some((name.strip_suffix(end)?.to_owned(), wide)))
    });
    let whole = |(prefix, _): &(String, bool)| prefix.is_empty() || prefix.ends_with('.');
    let mut found: Vec<_> = found.filter(whole).collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let names: Vec<String> = tensors.keys().map(|&name| name.to_owned()).collect();
            let deepmind = names.iter().any(|n| n.contains("conv_0.weight") || n.contains("conv_2d_1.weight"));
            let hint = if deepmind {
                " (DeepMind's networks pad strided convolutions on one side, and most use Swish; they are not supported)"
            } else {
                ""
            };
            Err(Error::Unknown { names, hint })
        }
        _ => Err(Error::Several(found.into_iter().map(|(prefix, _)| prefix).collect())),
    }
}

/// Returns this crate's name of a buffer of the input normalization, under any prefix: `mu`, `0.mean`,
/// `normalizer.new_std`.
fn normalization_buffer(name: &str, shape: &[usize]) -> Option<&'static str> {
    let ours = match name.rsplit('.').next()? {
        "mean" | "mu" | "new_mean" => Model::MEAN,
        "std" | "sigma" | "new_std" => Model::STD,
        _ => return None,
    };
    // One value per channel, in a tensor of any rank.
    (shape.iter().product::<usize>() == 3).then_some(ours)
}

/// Returns whether a ResNet is the pre-activation variant. Then the first normalization of a block with more output
/// than input channels has the input channels.
fn pre_activation(tensors: &BTreeMap<&str, &[usize]>, prefix: &str) -> bool {
    let channels = |name: &str| tensors.get(&*format!("{prefix}{name}")).and_then(|shape| shape.first());
    let norm = channels("layer2.0.bn1.weight");
    norm.is_some() && norm != channels("layer2.0.conv1.weight")
}

/// Returns this crate's name for a name without prefix.
fn rename(name: &str, wide: bool, pre_activation: bool) -> String {
    let (layer, part) = name.rsplit_once('.').unwrap_or((name, ""));
    let head = if wide { "fc" } else { "linear" };
    if HEADS.contains(&layer) {
        return format!("{head}.{part}");
    }
    if wide {
        return name.to_owned();
    }
    match layer {
        "bn1" | "bn_final" | "norm" if pre_activation => format!("bn.{part}"),
        _ => name.replace(".downsample.", ".shortcut."),
    }
}

/// Names of the last layer.
const HEADS: [&str; 6] = ["fc", "linear", "classifier", "head", "logits", "last"];

fn infer(ours: &Shapes, wide: bool, pre_activation: bool) -> Result<(Architecture, usize), Error> {
    // Only names and shapes are needed, so the values are empty.
    let array = |(name, shape): (&String, &Vec<usize>)| (name.clone(), Array { shape: shape.clone(), values: vec![] });
    let head = if wide { "fc.weight" } else { "linear.weight" };
    let mut arrays: BTreeMap<_, _> = ours.iter().map(array).collect();
    if pre_activation {
        arrays.entry("bn.weight".to_owned()).or_insert(Array { shape: vec![], values: vec![] });
    }
    let unknown = || Error::Unknown { names: ours.keys().cloned().collect(), hint: "" };
    let (architecture, classes) = Architecture::infer(&arrays).map_err(|e| match e {
        ModelError::Missing(name) if name == head => Error::Head(HEADS.map(str::to_owned).to_vec()),
        _ => unknown(),
    })?;
    let (Architecture::WideResNet { width, .. } | Architecture::ResNet18 { width, .. }) = architecture;
    if width == 0 || classes == 0 { Err(unknown()) } else { Ok((architecture, classes)) }
}

/// Returns the state-dict names of a network without input normalization.
pub fn expected(architecture: Architecture) -> Vec<String> {
    const CONV: &[&str] = &["weight"];
    const NORM: &[&str] = &["weight", "bias", "running_mean", "running_var"];
    let mut layers: Vec<(String, &[&str])> = vec![("conv1".into(), CONV)];
    let block =
        |name: String| (1..=2).flat_map(move |i| [(format!("{name}.conv{i}"), CONV), (format!("{name}.bn{i}"), NORM)]);
    match architecture {
        Architecture::WideResNet { depth, width } => {
            for stage in 1..=3 {
                layers.extend((0..(depth - 4) / 6).flat_map(|i| block(format!("block{stage}.layer.{i}"))));
                if stage > 1 || width > 1 {
                    layers.push((format!("block{stage}.layer.0.convShortcut"), CONV));
                }
            }
            layers.extend([("bn1".into(), NORM), ("fc".into(), &["weight", "bias"])]);
        }
        Architecture::ResNet18 { pre_activation, .. } => {
            for stage in 1..=4 {
                layers.extend((0..2).flat_map(|i| block(format!("layer{stage}.{i}"))));
                if stage > 1 {
                    layers.push((format!("layer{stage}.0.shortcut.0"), CONV));
                    if !pre_activation {
                        layers.push((format!("layer{stage}.0.shortcut.1"), NORM));
                    }
                }
            }
            let norm = if pre_activation { "bn" } else { "bn1" };
            layers.extend([(norm.into(), NORM), ("linear".into(), &["weight", "bias"])]);
        }
    }
    layers.iter().flat_map(|(name, parts)| parts.iter().map(move |part| format!("{name}.{part}"))).collect()
}
