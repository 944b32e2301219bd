//! Command-line options made from a config's settings.

use clap::{Arg, Command, builder::PossibleValuesParser};
use otjr::settings::Setting;

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

/// The option `--data-url`.
pub fn data_url() -> Arg {
    Arg::new("data-url").long("data-url").value_name("URL").help(
        "Fetch CIFAR from here, if it is neither in --data-dir nor kept from before: the archive's address, or that of the \
         folder it lies in [default: where its authors publish it]",
    )
}
