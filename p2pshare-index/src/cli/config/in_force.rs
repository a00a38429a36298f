//! The options with the values that are in force, and where these come from.

use clap::{Arg, Command, CommandFactory, Parser};
use p2pshare_core::config_file::{self, Origin, Setting};
use toml::{Table, Value};

use super::{Config, File, SERVE_LOG, Tls, read};
use crate::cli::{
    args::{self, Args, ConfigFile, ServeArgs},
    error::CliError,
    sections::{CommunitySection, DataSection, LimitsSection, LogSection, ServerSection},
    span::Span,
};

/// What stands at the top of a new file.
const HEAD: &str = "\
Options of p2pshare-index.

Each line that begins with # is a comment. Below stand all options with their defaults: take the # before one away and \
change it. An argument counts before an environment variable, a variable before this file. \
`p2pshare-index config show` prints what is in force.";

/// A new file: every option with its default, explained.
pub(in crate::cli) fn commented() -> Result<String, CliError> {
    let default = all(&File::default())?;
    let mut settings = settings(&default, |_, _| Origin::Default);
    for setting in settings.iter_mut().filter(|it| it.section == "data") {
        // These lie in the home of whoever writes the file.
        setting.value = None;
    }
    Ok(config_file::commented(HEAD, &settings))
}

/// Every option that `serve` would have with this file and this environment.
pub(in crate::cli) fn in_force(config: &ConfigFile) -> Result<Vec<Setting>, CliError> {
    let file = read(config)?;
    let environment = File::of(environment()?);
    let (from_file, from_environment) = (table(&file)?, table(&environment)?);
    let all = all(&environment.or(file))?;
    Ok(settings(&all, |section, key| {
        let has = |table: &Table| table.get(section).and_then(|it| it.get(key)).is_some();
        match (has(&from_environment), has(&from_file)) {
            (true, _) => Origin::Environment,
            (false, true) => Origin::File,
            _ => Origin::Default,
        }
    }))
}

/// What `serve` gets without an argument.
fn environment() -> Result<ServeArgs, CliError> {
    let parsed = Args::try_parse_from(["p2pshare-index", "serve"]);
    match parsed.map_err(|error| CliError::Usage(error.to_string()))?.command {
        args::Command::Serve(serve) => Ok(*serve),
        other => Err(CliError::Failed(format!("`serve` was read as {other:?}"))),
    }
}

/// Each option with the value that these options lead to.
fn all(file: &File) -> Result<Table, CliError> {
    let (config, _) = Config::from_file(file.clone())?;
    table(&filled(file, &config))
}

fn table(file: &File) -> Result<Table, CliError> {
    Table::try_from(file)
        .map_err(|error| CliError::Failed(format!("the options cannot be written: {error}")))
}

/// The options in the order of the help.
fn settings(values: &Table, origin: impl Fn(&str, &str) -> Origin) -> Vec<Setting> {
    let command = Args::command();
    let serve = command.find_subcommand("serve").map(Command::get_arguments);
    let options = serve.into_iter().flatten().filter(|arg| arg.get_long() != Some("config"));
    options.map(|arg| setting(arg, values, &origin)).collect()
}

fn setting(arg: &Arg, values: &Table, origin: impl Fn(&str, &str) -> Origin) -> Setting {
    let section = arg.get_help_heading().unwrap_or_default().to_lowercase();
    let key = arg.get_long().unwrap_or_default().to_owned();
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let names = arg.get_value_names().unwrap_or_default();
    let value = values.get(&section).and_then(|section| section.get(&key)).map(Value::to_string);
    Setting {
        help: help.map(ToString::to_string).unwrap_or_default(),
        variable: arg.get_env().map(|name| name.to_string_lossy().into_owned()),
        value,
        placeholder: names.first().map(ToString::to_string).unwrap_or_default(),
        origin: origin(&section, &key),
        section,
        key,
    }
}

/// These options, and where none is given the one that the configuration has. What has no value stays without.
fn filled(file: &File, config: &Config) -> File {
    let Config { data, listen, tls, index, http, server, traces: _ } = config;
    let rates = &http.rates;
    File {
        data: DataSection {
            data_dir: data.dir.clone(),
            // Without the password that it may have.
            store: data.store.to_string().parse().ok(),
            key_file: data.key_file.clone(),
        },
        community: CommunitySection {
            name: Some(index.name.clone()),
            registration: Some(index.registration),
            session_lifetime: Some(Span(index.session_lifetime)),
            grant_lifetime: Some(Span(index.grant_lifetime)),
            heartbeat_every: Some(Span(index.heartbeat_every)),
            unbound_grants: Some(index.unbound_grants),
            public_counts: http.pages.as_ref().map(|pages| pages.counts),
        },
        server: ServerSection {
            listen: Some(*listen),
            tls_cert: file.server.tls_cert.clone(),
            tls_key: file.server.tls_key.clone(),
            public_url: file.server.public_url.clone(),
            tls_self_signed: Some(*tls == Tls::SelfSigned),
            insecure: Some(file.server.insecure == Some(true)),
            trusted_proxies: Some(http.trusted_proxies.clone()),
            metrics_from: Some(http.metrics_from.clone()),
            no_reachability: Some(!http.reachability),
            max_connections: Some(server.max_connections),
            max_connections_per_address: Some(server.max_connections_per_address),
            header_timeout: Some(Span(server.header_timeout)),
            idle_timeout: Some(Span(server.idle_timeout)),
            request_timeout: Some(Span(http.request_timeout)),
            shutdown_timeout: Some(Span(server.shutdown_timeout)),
        },
        limits: LimitsSection {
            concurrent_requests: Some(http.concurrent_requests),
            requests_per_address: Some(http.requests_per_address),
            logins_per_address: Some(rates.logins_per_address),
            logins_per_account: Some(rates.logins_per_account_and_address),
            registrations_per_address: Some(rates.registrations_per_address),
            grants_per_user: Some(rates.grants_per_user),
            files_per_user: Some(index.entries_per_user),
            sessions_per_user: Some(index.sessions_per_user),
            peers_per_user: Some(index.peers_per_user),
            groups_per_user: Some(index.groups_per_user),
            members_per_group: Some(index.members_per_group),
            invites_per_user: Some(index.invites_per_user),
        },
        log: LogSection {
            log: Some(file.log.log.clone().unwrap_or_else(|| SERVE_LOG.to_owned())),
            log_format: Some(file.log.log_format.unwrap_or_default()),
        },
        traces: file.traces.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a file that hold an option, without the `#`.
    fn options_of(text: &str) -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
        lines.filter(|it| !it.is_empty() && !it.starts_with(' ')).collect()
    }

    #[test]
    fn a_new_file_has_every_option_and_its_default() {
        let text = commented().unwrap();
        assert_eq!(toml::from_str::<File>(&text).unwrap(), File::default());

        let mut without =
            vec!["data-dir", "store", "key-file", "tls-cert", "tls-key", "public-url"];
        without.extend(cfg!(feature = "otel").then_some("otlp-endpoint"));
        let taken: Vec<_> = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if options_of(line) == [rest] => {
                    let key = rest.split(' ').next().unwrap_or_default();
                    if without.contains(&key) { line } else { rest }
                }
                _ => line,
            })
            .collect();
        let file: File = toml::from_str(&taken.join("\n")).unwrap();
        let default = all(&File::default()).unwrap();
        assert_eq!(all(&file).unwrap(), default);
        // Every option is there, and whatever has a default is filled in.
        let command = Args::command();
        let serve = command.find_subcommand("serve").unwrap();
        assert_eq!(options_of(&text).len(), serve.get_arguments().count() - 1, "{text}");
        let filled: usize =
            table(&file).unwrap().values().map(|it| it.as_table().unwrap().len()).sum();
        assert_eq!(filled + without.len(), options_of(&text).len(), "{taken:#?}");
    }

    #[test]
    fn what_is_in_force_says_where_it_comes_from_and_shows_no_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.toml");
        let text = "[data]\nstore = \"mongodb://ann:s3cret@h/db?tls=true\"\nkey-file = \"/k\"\n\
                    [limits]\nfiles-per-user = 5\n";
        std::fs::write(&path, text).unwrap();
        let shown = in_force(&ConfigFile { path: Some(path) }).unwrap();
        let of = |key: &str| {
            let found = shown.iter().find(|it| it.key == key).unwrap();
            (found.value.clone().unwrap_or_default(), found.origin)
        };
        assert_eq!(of("files-per-user"), ("5".to_owned(), Origin::File));
        assert_eq!(of("idle-timeout"), ("\"90s\"".to_owned(), Origin::Default));
        assert_eq!(of("store").1, Origin::File);
        assert!(of("store").0.contains("mongodb") && !of("store").0.contains("s3cret"));
        assert!(toml::from_str::<File>(&config_file::in_force(&shown)).is_ok());
    }
}
