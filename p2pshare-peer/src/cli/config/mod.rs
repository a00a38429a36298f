//! Arguments, environment and configuration file together.
//!
//! Every option that has an environment variable is a setting of the file too, in the section of its command: `listen`
//! of `serve` is `listen` below `[serve]`, what every command takes stands below `[peer]`. So the arguments are the one
//! place where settings are defined. What the file says becomes the default of the option; thus an argument counts
//! before a variable, a variable before the file, the file before the default that the program has.

mod file;
mod schema;

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use p2pshare_core::config_file::{Origin, Setting};

use self::{
    file::{Entry, FileError},
    schema::{Known, options},
};
use super::{
    args::{Cli, with_examples},
    exit::{CliError, Exit},
};

pub(super) use schema::SHARED_SECTION;

/// What stands at the top of a new file.
const HEAD: &str = "\
Settings of p2pshare-peer, read by every command.

Each line that begins with # is a comment. Below stand all settings with their defaults: take the # before one away and \
change it. An argument counts before an environment variable, a variable before this file. \
`p2pshare-peer config show` prints what is in force.";

/// The command line as it was meant.
pub(super) struct Parsed {
    /// The arguments, completed from environment and file.
    pub(super) cli: Cli,
    /// Where they come from.
    pub(super) settings: Settings,
}

/// Why there is nothing to do.
pub(super) enum ParseError {
    /// The arguments are wrong, or ask for help.
    Arguments(clap::Error),
    /// The file is wrong.
    File(CliError),
}

/// What the configuration file says, and which options were given.
#[derive(Debug)]
pub(crate) struct Settings {
    path: Option<PathBuf>,
    entries: Vec<Entry>,
    matches: ArgMatches,
}

/// Reads arguments, environment and configuration file.
pub(super) fn parse(arguments: &[OsString]) -> Result<Parsed, ParseError> {
    // Once without the file, which they may name. No option is required, so that the file cannot mend what is wrong.
    let matches = command().try_get_matches_from(arguments).map_err(ParseError::Arguments)?;
    let cli = from_matches(&matches)?;
    let path = path_of(cli.global.config.as_deref());
    if !cli.command.reads_config() {
        return Ok(Parsed { cli, settings: Settings { path, entries: Vec::new(), matches } });
    }
    let entries = load(path.as_deref(), cli.global.config.is_some()).map_err(ParseError::File)?;
    let matches = with_defaults(command(), &entries)
        .try_get_matches_from(arguments)
        .map_err(ParseError::Arguments)?;
    Ok(Parsed { cli: from_matches(&matches)?, settings: Settings { path, entries, matches } })
}

/// The command line as people see it.
pub(super) fn command() -> Command {
    with_examples(Cli::command())
}

fn from_matches(matches: &ArgMatches) -> Result<Cli, ParseError> {
    Cli::from_arg_matches(matches).map_err(ParseError::Arguments)
}

/// The file that is named, else the one of this user; `None` if they have no home.
fn path_of(named: Option<&Path>) -> Option<PathBuf> {
    named.map(Path::to_owned).or_else(|| {
        let dirs = directories::ProjectDirs::from("", "", "p2pshare")?;
        Some(dirs.config_dir().join("peer.toml"))
    })
}

/// The settings of the file, each known and of a value that its option takes.
fn load(path: Option<&Path>, is_named: bool) -> Result<Vec<Entry>, CliError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let Some(text) = file::read(path)? else {
        if !is_named {
            return Ok(Vec::new());
        }
        let error = format!("there is no configuration file {}", path.display());
        return Err(CliError::new(Exit::Usage, error).hint("`p2pshare-peer config init` makes one"));
    };
    let wrong = |(line, what)| FileError::Wrong { path: path.to_owned(), line, what };
    let entries = file::parse(&text).map_err(wrong)?;
    let known = options(&Cli::command());
    for entry in &entries {
        schema::check(&known, entry).map_err(|what| wrong((entry.line, what)))?;
    }
    Ok(entries)
}

/// What the file says becomes the default of the options.
fn with_defaults(command: Command, entries: &[Entry]) -> Command {
    let known = options(&command);
    entries.iter().fold(command, |command, entry| {
        let Some(option) = known.iter().find(|option| option.is(&entry.section, &entry.key)) else {
            return command;
        };
        let id = option.arg.get_id().clone();
        // In their places, so that the help keeps its order.
        let set = |command: Command| {
            command.mut_args(|arg| match *arg.get_id() == id {
                true => arg.default_values(entry.values.clone()),
                false => arg,
            })
        };
        if entry.section == SHARED_SECTION {
            return set(command);
        }
        command.mut_subcommands(|sub| match sub.get_name() == entry.section {
            true => set(sub),
            false => sub,
        })
    })
}

impl Settings {
    /// The command's name.
    pub(super) fn command(&self) -> &str {
        self.matches.subcommand_name().unwrap_or_default()
    }

    /// The configuration file that is read, or would be if it were there.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Where `serve` would listen.
    pub(crate) fn serve_listen(&self) -> Result<SocketAddr, CliError> {
        let known = options(&with_defaults(Cli::command(), &self.entries));
        let listen = known.iter().find(|option| option.is("serve", "listen"));
        let matches = listen.map(|option| option.alone(&[])).transpose();
        let matches = matches.map_err(|error| usage(&error))?;
        let address = matches.and_then(|it| it.get_one::<SocketAddr>("listen").copied());
        address.ok_or_else(|| CliError::failed("`serve` has no address to listen on"))
    }

    /// Where the value of an option comes from, for the command that runs. `key` is its long name.
    pub(crate) fn origin(&self, section: &str, key: &str) -> Origin {
        let matches = if section == SHARED_SECTION {
            Some(&self.matches)
        } else {
            self.matches.subcommand_matches(section)
        };
        let id = key.replace('-', "_");
        let source = matches.and_then(|matches| {
            matches.try_contains_id(&id).ok()?;
            matches.value_source(&id)
        });
        self.origin_of(section, key, source)
    }

    fn origin_of(
        &self,
        section: &str,
        key: &str,
        source: Option<clap::parser::ValueSource>,
    ) -> Origin {
        use clap::parser::ValueSource;

        match source {
            Some(ValueSource::CommandLine) => Origin::Argument,
            Some(ValueSource::EnvVariable) => Origin::Environment,
            _ if self.entries.iter().any(|it| it.section == section && it.key == key) => {
                Origin::File
            }
            _ => Origin::Default,
        }
    }

    /// Every setting, with the value that is in force.
    pub(super) fn in_force(&self) -> Result<Vec<Setting>, CliError> {
        let known = options(&with_defaults(Cli::command(), &self.entries));
        let shown = known.iter().map(|option| {
            let (section, key) = (option.section.as_str(), option.key());
            let id = option.arg.get_id().as_str();
            let own;
            let (matches, origin) = if section == SHARED_SECTION {
                (&self.matches, self.origin(section, key))
            } else {
                own = option.alone(&[]).map_err(|error| usage(&error))?;
                (&own, self.origin_of(section, key, own.value_source(id)))
            };
            let values = matches.get_raw(id).map(|raw| {
                raw.map(|value| value.to_string_lossy().into_owned()).collect::<Vec<_>>()
            });
            Ok(option.setting(values.as_deref(), origin))
        });
        shown.collect()
    }
}

/// A new file: every setting with its default, explained.
pub(super) fn commented() -> String {
    let mut command = Cli::command();
    command.build();
    let settings: Vec<_> = options(&command).iter().map(Known::default_setting).collect();
    p2pshare_core::config_file::commented(HEAD, &settings)
}

fn usage(error: &clap::Error) -> CliError {
    CliError::new(Exit::Usage, schema::first_line(error))
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        Self::new(Exit::Usage, error.to_string())
            .hint("`p2pshare-peer config init` writes a file with every setting; it replaces one only with --force")
    }
}

#[cfg(test)]
mod tests;
