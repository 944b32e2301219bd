//! Recipes: the settings of a run under a name.

use std::{fs, path::Path};

use anyhow::{Context, bail};
use otjr::{loss::Objective, settings::Settings, train::TrainConfig};

/// Each begins with a line of comment that says what it is.
const RECIPES: &[(&str, &str)] = &[
    ("cifar10", include_str!("recipes/cifar10.toml")),
    ("cifar100", include_str!("recipes/cifar100.toml")),
    ("folder", include_str!("recipes/folder.toml")),
    ("flagship", include_str!("recipes/flagship.toml")),
    ("comparison", include_str!("recipes/comparison.toml")),
];

/// What there is, a line each.
pub fn list() -> String {
    let line = |(name, text): &(&str, &str)| {
        let about = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        format!("  OBJECTIVE-{name}: {about}")
    };
    RECIPES.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The settings of a recipe: `otjr-cifar10`, or a file like those in `native/train/recipes`.
pub fn read(name: &str) -> anyhow::Result<TrainConfig> {
    let mut config = TrainConfig::default();
    let known = name.split_once('-').and_then(|(objective, recipe)| {
        let (_, text) = RECIPES.iter().find(|(name, _)| *name == recipe)?;
        Some((objective.parse::<Objective>().ok()?, *text))
    });
    match known {
        Some((objective, text)) => {
            apply(&mut config, text)?;
            config.objective = objective;
        }
        None if Path::new(name).is_file() => {
            let text = fs::read_to_string(name).with_context(|| format!("could not read {name}"))?;
            apply(&mut config, &text).with_context(|| name.to_owned())?;
        }
        None => bail!(
            "there is no recipe '{name}', nor a file of that name. There are, for each OBJECTIVE ({}):\n{}",
            Objective::ALL.iter().map(Objective::to_string).collect::<Vec<_>>().join(" "),
            list()
        ),
    }
    Ok(config)
}

fn apply(config: &mut TrainConfig, text: &str) -> anyhow::Result<()> {
    for (key, value) in text.parse::<toml::Table>()? {
        let value = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        config.set(&key, &value)?;
    }
    Ok(())
}
