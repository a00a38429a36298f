//! Examples at the end of the help of every command. A test reads each of them as the program would.

use clap::Command;

/// Commands by their names below the program's, and what their help shows at its end.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "register",
        "p2pshare-peer --index https://index.example.org:7400 register alice\np2pshare-peer register bob --invite correct-horse-battery\npass show p2pshare | p2pshare-peer register carol --password-stdin",
    ),
    (
        "login",
        "p2pshare-peer login alice\np2pshare-peer --index https://a.example.org --index https://b.example.org login alice",
    ),
    ("logout", "p2pshare-peer logout\np2pshare-peer logout --everywhere"),
    (
        "password",
        "p2pshare-peer password\nprintf '%s\\n' \"$OLD\" \"$NEW\" | p2pshare-peer password --password-stdin",
    ),
    ("delete-account", "p2pshare-peer delete-account alice"),
    ("whoami", "p2pshare-peer whoami\np2pshare-peer whoami --json"),
    (
        "share",
        "p2pshare-peer share ~/Music ~/notes.pdf\np2pshare-peer share --group band ~/Recordings\np2pshare-peer share --unlisted ~/draft.pdf\np2pshare-peer share",
    ),
    ("unshare", "p2pshare-peer unshare ~/Music\np2pshare-peer unshare ~/Music/Live"),
    ("shares", "p2pshare-peer shares"),
    (
        "serve",
        "p2pshare-peer serve\np2pshare-peer serve --listen 0.0.0.0:7401 --advertise alice.example.org:7401\np2pshare-peer serve --inbox ~/Inbox --upload-limit 5MB",
    ),
    (
        "search",
        "p2pshare-peer search blue train\np2pshare-peer search --kind audio --min-size 10MB --sort newest live\np2pshare-peer search --since 7d --owner alice\np2pshare-peer search -- concert -bootleg\np2pshare-peer search --follow --ext flac coltrane",
    ),
    (
        "browse",
        "p2pshare-peer browse alice\np2pshare-peer browse alice:/Music/Live\np2pshare-peer browse -r alice Music",
    ),
    ("ui", "p2pshare-peer ui\np2pshare-peer ui --open"),
    (
        "downloads",
        "p2pshare-peer downloads\np2pshare-peer downloads --all\np2pshare-peer downloads pause 7",
    ),
    (
        "downloads files",
        "p2pshare-peer downloads files 7\np2pshare-peer downloads files 7 --failed",
    ),
    ("downloads pause", "p2pshare-peer downloads pause 7\np2pshare-peer downloads pause --all"),
    (
        "downloads resume",
        "p2pshare-peer downloads resume 7 8\np2pshare-peer downloads resume --all",
    ),
    ("downloads cancel", "p2pshare-peer downloads cancel 7"),
    ("downloads retry", "p2pshare-peer downloads retry 7"),
    ("downloads forget", "p2pshare-peer downloads forget --all"),
    (
        "get",
        "p2pshare-peer get \"alice:/Music/Blue Train.flac\"\np2pshare-peer get alice:/Music -o ~/Downloads\np2pshare-peer get af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262 -o file.bin\np2pshare-peer get --detach alice:/Films\np2pshare-peer get alice:/archive.tar -o - | tar t\np2pshare-peer get blue train",
    ),
    ("link", "p2pshare-peer link alice:/Films/Nosferatu.mkv"),
    ("push", "p2pshare-peer push notes.pdf bob\np2pshare-peer push Photos 'a film.mkv' bob"),
    ("status", "p2pshare-peer status\np2pshare-peer status --json"),
    ("peers", "p2pshare-peer peers\np2pshare-peer peers remove 3f9c2a1b"),
    ("peers list", "p2pshare-peer peers list --json"),
    ("peers remove", "p2pshare-peer peers remove 3f9c2a1b"),
    ("doctor", "p2pshare-peer doctor\np2pshare-peer doctor --json"),
    (
        "group",
        "p2pshare-peer group create band\np2pshare-peer group add band bob\np2pshare-peer share --group band ~/Recordings",
    ),
    ("group create", "p2pshare-peer group create band"),
    ("group add", "p2pshare-peer group add band bob"),
    ("group remove", "p2pshare-peer group remove band bob"),
    ("group leave", "p2pshare-peer group leave band"),
    ("group list", "p2pshare-peer group list"),
    ("group members", "p2pshare-peer group members band"),
    ("group transfer", "p2pshare-peer group transfer band bob"),
    ("group delete", "p2pshare-peer group delete band"),
    ("invite", "p2pshare-peer invite create --uses 3 --hours 48\np2pshare-peer invite list"),
    (
        "invite create",
        "p2pshare-peer invite create\np2pshare-peer invite create --uses 5 --hours 24 --group band",
    ),
    ("invite list", "p2pshare-peer invite list"),
    ("invite revoke", "p2pshare-peer invite revoke 3f9c2a"),
    ("config", "p2pshare-peer config init\np2pshare-peer config show"),
    (
        "config init",
        "p2pshare-peer config init\np2pshare-peer --config /etc/p2pshare/peer.toml config init --force",
    ),
    ("config show", "p2pshare-peer config show\np2pshare-peer config show --json"),
    ("config path", "p2pshare-peer config path"),
    ("man", "p2pshare-peer man | man -l -\np2pshare-peer man ~/.local/share/man/man1"),
    (
        "completions",
        "p2pshare-peer completions bash > ~/.local/share/bash-completion/completions/p2pshare-peer\np2pshare-peer completions fish > ~/.config/fish/completions/p2pshare-peer.fish",
    ),
];

/// The command line with examples in the help of each command that has some.
pub(in crate::cli) fn with_examples(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (path, lines)| {
        let parts: Vec<_> = path.split(' ').collect();
        add(command, &parts, lines)
    })
}

fn add(command: Command, path: &[&str], lines: &str) -> Command {
    let Some((first, rest)) = path.split_first() else {
        let before = command.get_after_help().map(ToString::to_string);
        let text = format!("Examples:\n  {}", lines.replace('\n', "\n  "));
        return command.after_help(match before {
            Some(more) => format!("{text}\n\n{more}"),
            None => text,
        });
    };
    // A command that this program does not have is found by the test. The others keep their order.
    command.mut_subcommands(|sub| match sub.get_name() == *first {
        true => add(sub, rest, lines),
        false => sub,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use p2pshare_core::testing::programs::example_words;

    use super::*;
    use crate::cli::args::Cli;

    fn visit(path: &str, command: &Command) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n"), "`{path}` has no example");
            visit(&path, sub);
        }
    }

    #[test]
    fn every_command_has_examples() {
        visit("p2pshare-peer", &with_examples(Cli::command()));
    }

    #[test]
    fn every_example_is_of_its_command_and_is_understood() {
        let command = with_examples(Cli::command());
        for (path, lines) in EXAMPLES {
            for line in lines.lines() {
                let parsed =
                    command.clone().try_get_matches_from(example_words("p2pshare-peer", line));
                let matches = parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
                let mut called = Vec::new();
                let mut at = &matches;
                while let Some((name, deeper)) = at.subcommand() {
                    called.push(name);
                    at = deeper;
                }
                // What a group of commands is for may take another command too.
                let is_group = ["group", "invite", "config", "downloads", "peers"].contains(path);
                assert!(is_group || called.join(" ") == *path, "{line} is no example of {path}");
            }
        }
    }
}
