//! Command-line options made from a config's settings.

use clap::{Arg, Command, builder::PossibleValuesParser};
use otjr::config::Setting;

/// Adds an option for every setting; `default` words its default value.
pub fn options(
    command: Command,
    settings: impl IntoIterator<Item = Setting>,
    heading: &'static str,
    default: impl Fn(&Setting) -> String,
) -> Command {
    settings.into_iter().fold(command, |command, setting| {
        let symbol = if setting.symbol.is_empty() { String::new() } else { format!(" ({})", setting.symbol) };
        let help = format!("{}{symbol} [default: {}]", setting.help, default(&setting));
        // -1 is a value, to be refused by its range and not as an unknown option.
        let arg = Arg::new(setting.key).long(setting.key).value_name("VALUE").help(help).allow_hyphen_values(true);
        let arg = arg.help_heading(heading);
        command.arg(match setting.choices {
            [] => arg,
            choices => arg.value_parser(PossibleValuesParser::new(choices)),
        })
    })
}
