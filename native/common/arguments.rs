//! Command-line options that are generated from settings.

use clap::{Arg, Command, builder::PossibleValuesParser};
use otjr::settings::Setting;

/// Adds an option for each setting. `default` returns the text of its default value.
pub fn options(
    command: Command,
    settings: impl IntoIterator<Item = Setting>,
    heading: &'static str,
    default: impl Fn(&Setting) -> String,
) -> Command {
    settings.into_iter().fold(command, |command, setting| {
        let symbol = if setting.symbol.is_empty() { String::new() } else { format!(" ({})", setting.symbol) };
        let help = format!("{}{symbol} [default: {}]", setting.help, default(&setting));
        // -1 is parsed as a value, so that the error names the valid range instead of an unknown option.
        let arg = Arg::new(setting.key).long(setting.key).value_name("VALUE").help(help).allow_hyphen_values(true);
        let arg = arg.help_heading(heading);
        command.arg(match setting.choices {
            [] => arg,
            choices => arg.value_parser(PossibleValuesParser::new(choices)),
        })
    })
}

/// Returns the option `--data-url`.
pub fn data_url() -> Arg {
    Arg::new("data-url").long("data-url").value_name("URL").help(
        "Download CIFAR from this URL (of the archive, or of the folder that contains it) if it is neither in --data-dir nor \
         in the cache [default: the authors' site]",
    )
}

/// Splits the value of an option at commas.
pub fn list(value: &str) -> Vec<String> {
    value.split(',').map(|part| part.trim().to_owned()).collect()
}
