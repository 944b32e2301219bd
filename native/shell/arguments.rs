//! Command-line options made from a config's settings.

use clap::{Arg, ArgMatches, Command, builder::PossibleValuesParser, parser::ValueSource};
use otjr::config::{Setting, Settings};

/// Adds an option for every setting of `C`; `default` words its default value.
pub fn options<C: Settings>(command: Command, heading: &'static str, default: impl Fn(&Setting) -> String) -> Command {
    C::settings().into_iter().fold(command, |command, setting| {
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

/// Sets what was given on the command line.
pub fn apply<C: Settings>(config: &mut C, matches: &ArgMatches) -> anyhow::Result<()> {
    for setting in C::settings() {
        if matches.value_source(setting.key) == Some(ValueSource::CommandLine) {
            let value: &String = matches.get_one(setting.key).expect("it was given");
            config.set(setting.key, value).map_err(|e| anyhow::anyhow!("--{e}"))?;
        }
    }
    Ok(())
}
