//! The settings that there are, as the arguments define them.

use clap::{Arg, ArgAction, ArgMatches, Command};
use p2pshare_core::config_file::{Origin, Setting};

use super::file::Entry;

/// The section of what every command takes.
pub(crate) const SHARED_SECTION: &str = "peer";

/// An option that is a setting of the file too.
pub(super) struct Known {
    pub(super) section: String,
    pub(super) arg: Arg,
}

/// All of them, in the order in which the help shows them.
pub(super) fn options(command: &Command) -> Vec<Known> {
    let of = |section: &str, command: &Command, is_shared: bool| {
        let args = command.get_arguments().filter(|arg| {
            // Which file it is cannot stand in the file.
            arg.get_env().is_some()
                && arg.get_long().is_some_and(|long| long != "config")
                && arg.is_global_set() == is_shared
        });
        args.map(|arg| Known { section: section.to_owned(), arg: arg.clone() }).collect::<Vec<_>>()
    };
    let mut all = of(SHARED_SECTION, command, true);
    for sub in command.get_subcommands() {
        all.extend(of(sub.get_name(), sub, false));
    }
    all
}

impl Known {
    pub(super) fn key(&self) -> &str {
        self.arg.get_long().unwrap_or_default()
    }

    pub(super) fn is(&self, section: &str, key: &str) -> bool {
        self.section == section && self.key() == key
    }

    fn is_flag(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse)
    }

    fn takes_many(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Append)
    }

    /// Reads this option alone, from these arguments, the environment and its default.
    pub(super) fn alone(&self, arguments: &[String]) -> Result<ArgMatches, clap::Error> {
        // What it excludes is not there.
        let command = Command::new("p2pshare-peer").no_binary_name(true).arg(lone(&self.arg));
        command.try_get_matches_from(arguments)
    }

    /// The setting with these values.
    pub(super) fn setting(&self, values: Option<&[String]>, origin: Origin) -> Setting {
        let quoted = |value: &String| {
            if self.is_flag() || value.parse::<u64>().is_ok_and(|it| it.to_string() == *value) {
                value.clone()
            } else {
                toml::Value::String(value.clone()).to_string()
            }
        };
        let value = values.map(|values| {
            let all: Vec<_> = values.iter().map(quoted).collect();
            if self.takes_many() { format!("[{}]", all.join(", ")) } else { all.join(", ") }
        });
        let help = self.arg.get_long_help().or_else(|| self.arg.get_help());
        let names = self.arg.get_value_names().unwrap_or_default();
        Setting {
            section: self.section.clone(),
            key: self.key().to_owned(),
            help: help.map(ToString::to_string).unwrap_or_default(),
            variable: self.arg.get_env().map(|name| name.to_string_lossy().into_owned()),
            value,
            placeholder: names.first().map(ToString::to_string).unwrap_or_default(),
            origin,
        }
    }

    /// The setting with the default that the program has.
    pub(super) fn default_setting(&self) -> Setting {
        let values: Vec<_> = self
            .arg
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        self.setting((!values.is_empty()).then_some(values.as_slice()), Origin::Default)
    }
}

/// The option without what ties it to others.
fn lone(arg: &Arg) -> Arg {
    let mut alone = Arg::new(arg.get_id().clone())
        .long(arg.get_long().unwrap_or_default().to_owned())
        .action(arg.get_action().clone())
        .value_parser(arg.get_value_parser().clone())
        .default_values(arg.get_default_values().to_vec());
    if let Some(name) = arg.get_env() {
        alone = alone.env(name.to_owned());
    }
    if let Some(range) = arg.get_num_args() {
        alone = alone.num_args(range);
    }
    match arg.get_value_delimiter() {
        Some(delimiter) => alone.value_delimiter(delimiter),
        None => alone,
    }
}

/// That an entry of the file names an option and has a value for it.
pub(super) fn check(known: &[Known], entry: &Entry) -> Result<(), String> {
    let Some(option) = known.iter().find(|option| option.is(&entry.section, &entry.key)) else {
        return Err(unknown(known, entry));
    };
    let key = &entry.key;
    if option.is_flag() != entry.is_bool {
        let must = if option.is_flag() { "be true or false" } else { "not be true or false" };
        return Err(format!("{key} must {must}"));
    }
    if entry.is_list && !option.takes_many() {
        return Err(format!("{key} takes one value, no list"));
    }
    if option.is_flag() {
        return Ok(());
    }
    let given: Vec<_> = entry.values.iter().map(|value| format!("--{key}={value}")).collect();
    option.alone(&given).map(|_| ()).map_err(|error| first_line(&error))
}

fn unknown(known: &[Known], entry: &Entry) -> String {
    let mut keys = known.iter().filter(|it| it.section == entry.section).peekable();
    if keys.peek().is_none() {
        let mut sections: Vec<_> = known.iter().map(|it| format!("[{}]", it.section)).collect();
        sections.dedup();
        return format!(
            "there is no section [{}]: there are {}",
            entry.section,
            sections.join(", ")
        );
    }
    let keys: Vec<_> = keys.map(Known::key).collect();
    format!("[{}] has no {:?}: it has {}", entry.section, entry.key, keys.join(", "))
}

/// The sentence of an error, without the help that follows it.
pub(super) fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
