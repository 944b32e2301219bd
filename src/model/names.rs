//! What other codes call the tensors of our networks.
//!
//! Names are matched together with what they must mean: only names that stand for the same arithmetic are taken. A
//! WideResNet's shortcut called anything but `convShortcut`, for one, may see the input before its normalization.

use std::collections::{BTreeMap, BTreeSet};

use super::{Architecture, Error as Unnamed, Model, parameter::Array};

/// What PyTorch says of a file's tensors before any is read.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Why the tensors of a file are none of our networks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no network known here: neither a WideResNet nor a ResNet-18{hint}. The file's tensors: {}", list(.names))]
    Unknown { names: Vec<String>, hint: &'static str },
    #[error("{} networks in one, under {}: an ensemble cannot be converted", .0.len(), list(.0))]
    Several(Vec<String>),
    #[error("{} of its tensors do not fit a {architecture}: {}{hint}", .names.len(), list(.names))]
    Unfitting { architecture: Architecture, names: Vec<String>, hint: &'static str },
    #[error("a {architecture} needs tensors that are not there: {}{hint}", list(.names))]
    Missing { architecture: Architecture, names: Vec<String>, hint: &'static str },
    #[error("it has no layer that could be the last one: none of {}", list(.0))]
    Head(Vec<String>),
    #[error("its normalization cannot be told: {}", list(.0))]
    Normalization(Vec<String>),
}

/// At most a dozen names.
fn list(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(12).map(|name| name.escape_debug().to_string()).collect();
    let rest = names.len() - shown.len();
    shown.join(", ") + &if rest > 0 { format!(" and {rest} more") } else { String::new() }
}

/// How a file's names become ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    pub architecture: Architecture,
    pub classes: usize,
    pub normalized: bool,
    /// What precedes the names of the network's tensors in the file: `module.`, `model.net.`, often nothing.
    pub prefix: String,
    /// Theirs to ours.
    pub names: BTreeMap<String, String>,
    /// What is not part of our networks, and why that changes nothing.
    pub left_out: BTreeMap<&'static str, Vec<String>>,
}

/// Reads the names of one network with what may surround it.
pub fn map(shapes: &Shapes) -> Result<Mapping, Error> {
    let mut left_out: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut tensors: BTreeMap<&str, &[usize]> = BTreeMap::new();
    for (name, shape) in shapes {
        match ignored(name, shapes) {
            Some(reason) => left_out.entry(reason).or_default().push(name.clone()),
            None => drop(tensors.insert(name, shape)),
        }
    }
    let (prefix, wide) = anchor(&tensors)?;
    let mut names = BTreeMap::new();
    let mut ours: Shapes = BTreeMap::new();
    let mut strange: Vec<String> = Vec::new();
    let mut normalization: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let pre_activation = pre_activation(&tensors, &prefix);
    for (&name, &shape) in &tensors {
        if let Some(ours) = normalizes(name, shape) {
            normalization.entry(ours).or_default().push(name);
            continue;
        }
        let inner = name.strip_prefix(&*prefix);
        if wide && inner.is_some_and(|inner| inner.starts_with("sub_block1.")) {
            let reason = "sub_block1, which TRADES' WideResNet makes and never uses";
            left_out.entry(reason).or_default().push(name.to_owned());
            continue;
        }
        match inner.map(|inner| rename(inner, wide, pre_activation)) {
            Some(renamed) if !ours.contains_key(&renamed) => {
                ours.insert(renamed.clone(), shape.to_vec());
                names.insert(name.to_owned(), renamed);
            }
            _ => strange.push(name.to_owned()),
        }
    }
    let (architecture, classes) = infer(&ours, wide, pre_activation)?;
    let expected: BTreeSet<_> = expected(architecture).into_iter().collect();
    strange.extend(names.iter().filter(|(_, ours)| !expected.contains(*ours)).map(|(theirs, _)| theirs.clone()));
    let missing: Vec<_> = expected.iter().filter(|name| !ours.contains_key(*name)).cloned().collect();
    let hint = if missing.iter().any(|name| name == "bn.weight") {
        " (this pre-activation net does not normalize before it pools, as Wong2020Fast: ours does)"
    } else if missing.iter().any(|name| name == "fc.bias" || name == "linear.bias") {
        " (a last layer without bias mostly has weights that its code normalizes: ours does not)"
    } else if strange.iter().any(|name| name.contains("popup_scores") || name.ends_with("_mask")) {
        " (a pruned net: apply its masks in PyTorch, and save what is left)"
    } else {
        ""
    };
    if !strange.is_empty() {
        strange.sort();
        return Err(Error::Unfitting { architecture, names: strange, hint });
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

/// Why a tensor of this name counts for nothing in any network.
fn ignored(name: &str, shapes: &Shapes) -> Option<&'static str> {
    if name.ends_with("num_batches_tracked") {
        return Some("num_batches_tracked, counters of training steps");
    }
    if name.ends_with("total_ops") || name.ends_with("total_params") {
        return Some("counters of a profiler");
    }
    // The library `robustness` keeps the model a second time in its attacker.
    let attacker = name.split_once("attacker.").map(|(before, after)| format!("{before}{after}"));
    attacker.and_then(|twin| {
        let normalizes = |name: &str| name.replace("normalize.", "normalizer.");
        (shapes.get(&twin).or_else(|| shapes.get(&normalizes(&twin))) == shapes.get(name))
            .then_some("the attacker's copy of the network")
    })
}

/// What precedes the network's names, and whether it is a WideResNet.
fn anchor(tensors: &BTreeMap<&str, &[usize]>) -> Result<(String, bool), Error> {
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
                " (DeepMind's nets pad strided convolutions on one side, and most use Swish: other arithmetic than ours)"
            } else {
                ""
            };
            Err(Error::Unknown { names, hint })
        }
        _ => Err(Error::Several(found.into_iter().map(|(prefix, _)| prefix).collect())),
    }
}

/// Ours for the mean or the deviation of a normalization layer, wherever it lies: `mu`, `0.mean`, `normalizer.new_std`.
fn normalizes(name: &str, shape: &[usize]) -> Option<&'static str> {
    let ours = match name.rsplit('.').next()? {
        "mean" | "mu" | "new_mean" => Model::MEAN,
        "std" | "sigma" | "new_std" => Model::STD,
        _ => return None,
    };
    // One number a channel, of any rank.
    (shape.iter().product::<usize>() == 3).then_some(ours)
}

/// Whether a ResNet normalizes before it convolves: then a block that widens begins with a norm of its input's width.
fn pre_activation(tensors: &BTreeMap<&str, &[usize]>, prefix: &str) -> bool {
    let channels = |name: &str| tensors.get(&*format!("{prefix}{name}")).and_then(|shape| shape.first());
    let norm = channels("layer2.0.bn1.weight");
    norm.is_some() && norm != channels("layer2.0.conv1.weight")
}

/// Ours for a name without prefix.
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

/// The last layer's names.
const HEADS: [&str; 6] = ["fc", "linear", "classifier", "head", "logits", "last"];

fn infer(ours: &Shapes, wide: bool, pre_activation: bool) -> Result<(Architecture, usize), Error> {
    // Names and shapes are all that counts.
    let array = |(name, shape): (&String, &Vec<usize>)| (name.clone(), Array { shape: shape.clone(), values: vec![] });
    let head = if wide { "fc.weight" } else { "linear.weight" };
    let mut arrays: BTreeMap<_, _> = ours.iter().map(array).collect();
    if pre_activation {
        arrays.entry("bn.weight".to_owned()).or_insert(Array { shape: vec![], values: vec![] });
    }
    let unknown = || Error::Unknown { names: ours.keys().cloned().collect(), hint: "" };
    let (architecture, classes) = Architecture::infer(&arrays).map_err(|e| match e {
        Unnamed::Missing(name) if name == head => Error::Head(HEADS.map(str::to_owned).to_vec()),
        _ => unknown(),
    })?;
    let (Architecture::WideResNet { width, .. } | Architecture::ResNet18 { width, .. }) = architecture;
    if width == 0 || classes == 0 { Err(unknown()) } else { Ok((architecture, classes)) }
}

/// The state-dict names of a network without normalization layer.
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
