//! Examples at the end of the help of every command. A test reads each of them as the program would.

pub(super) const SERVE: &str = "\
Examples:
  p2pshare-index serve
  p2pshare-index serve --listen 0.0.0.0:7400 --tls-self-signed --registration invite
  p2pshare-index serve --config /etc/p2pshare/index.toml";

pub(super) const USER: &str = "\
Examples:
  p2pshare-index user create alice --admin
  p2pshare-index user list";

pub(super) const USER_LIST: &str = "\
Examples:
  p2pshare-index user list
  p2pshare-index user list --json";

pub(super) const USER_DISABLE: &str = "\
Examples:
  p2pshare-index user disable mallory";

pub(super) const USER_DELETE: &str = "\
Examples:
  p2pshare-index user delete mallory
  p2pshare-index user delete mallory --yes";

pub(super) const USER_ENABLE: &str = "\
Examples:
  p2pshare-index user enable mallory";

pub(super) const USER_PROMOTE: &str = "\
Examples:
  p2pshare-index user promote bob";

pub(super) const USER_DEMOTE: &str = "\
Examples:
  p2pshare-index user demote bob";

pub(super) const USER_RESET_PASSWORD: &str = "\
Examples:
  p2pshare-index user reset-password bob
  pass show bob | p2pshare-index user reset-password bob --password-stdin";

pub(super) const USER_CREATE: &str = "\
Examples:
  p2pshare-index user create alice --admin
  pass show bob | p2pshare-index user create bob --password-stdin";

pub(super) const GROUP: &str = "\
Examples:
  p2pshare-index group list
  p2pshare-index group transfer lab bob";

pub(super) const GROUP_LIST: &str = "\
Examples:
  p2pshare-index group list
  p2pshare-index group list --json";

pub(super) const GROUP_TRANSFER: &str = "\
Examples:
  p2pshare-index group transfer lab bob";

pub(super) const KEYS: &str = "\
Examples:
  p2pshare-index keys list
  p2pshare-index keys rotate";

pub(super) const KEYS_LIST: &str = "\
Examples:
  p2pshare-index keys list
  p2pshare-index keys list --json";

pub(super) const KEYS_ROTATE: &str = "\
Examples:
  p2pshare-index keys rotate
  p2pshare-index keys rotate --after 1h
  p2pshare-index keys rotate --distrust-old";

pub(super) const STORE: &str = "\
Examples:
  p2pshare-index store check --store sqlite:/var/lib/p2pshare/index.db";

pub(super) const STORE_COPY: &str = "\
Examples:
  p2pshare-index store copy --from sqlite:/var/lib/p2pshare/index.db --to \"mongodb://db1,db2,db3/p2pshare?replicaSet=rs0\"";

pub(super) const STORE_CHECK: &str = "\
Examples:
  p2pshare-index store check --store sqlite:/var/lib/p2pshare/index.db";

pub(super) const CONFIG: &str = "\
Examples:
  p2pshare-index config init
  p2pshare-index config show";

pub(super) const CONFIG_INIT: &str = "\
Examples:
  p2pshare-index config init
  p2pshare-index config init --force --config /etc/p2pshare/index.toml";

pub(super) const CONFIG_SHOW: &str = "\
Examples:
  p2pshare-index config show
  p2pshare-index config show --json";

pub(super) const CONFIG_PATH: &str = "\
Examples:
  p2pshare-index config path";

pub(super) const OPENAPI: &str = "\
Examples:
  p2pshare-index openapi > openapi.json";

pub(super) const MAN: &str = "\
Examples:
  p2pshare-index man | man -l -
  p2pshare-index man /usr/local/share/man/man1";

pub(super) const COMPLETIONS: &str = "\
Examples:
  p2pshare-index completions bash > ~/.local/share/bash-completion/completions/p2pshare-index";

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};
    use p2pshare_core::testing::programs::example_words;

    use crate::cli::args::Args;

    fn visit(path: &str, command: &Command) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines = help.strip_prefix("Examples:\n");
            let lines = lines.unwrap_or_else(|| panic!("`{path}` has no example"));
            for line in lines.lines() {
                assert!(line.contains(&path), "{line} is of another command than {path}");
                let parsed =
                    Args::command().try_get_matches_from(example_words("p2pshare-index", line));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
            visit(&path, sub);
        }
    }

    #[test]
    fn every_command_has_examples_that_are_understood() {
        visit("p2pshare-index", &Args::command());
    }
}
