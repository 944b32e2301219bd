//! Recipes: named sets of settings.

use std::path::Path;

use anyhow::{Context, bail};
use otjr::{loss::Objective, settings::Settings, train::TrainConfig};
use otjr_cli::files;

/// Name and content. The first line of each file is a comment that describes it.
const RECIPES: &[(&str, &str)] = &[
    ("cifar10", include_str!("recipes/cifar10.toml")),
    ("cifar100", include_str!("recipes/cifar100.toml")),
    ("folder", include_str!("recipes/folder.toml")),
    ("flagship", include_str!("recipes/flagship.toml")),
    ("comparison", include_str!("recipes/comparison.toml")),
];

/// Returns a line for each recipe.
pub fn list() -> String {
    let line = |(name, text): &(&str, &str)| {
        let about = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        format!("  OBJECTIVE-{name}: {about}")
    };
    RECIPES.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the settings of a recipe such as `otjr-cifar10`, or of a file like those in `native/train/recipes`.
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
            let text = files::read_text(name)?;
            apply(&mut config, &text).with_context(|| name.to_owned())?;
        }
        None => bail!(
            "'{name}' is neither a recipe nor a file. Recipes, for each OBJECTIVE ({}):\n{}",
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
