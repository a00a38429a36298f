//! The command line, as it is typed.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

mod account;
mod asked;
mod config;
mod examples;
mod share;
mod transfer;

pub(super) use account::{
    ChangePasswordArgs, DeleteAccountArgs, GroupCommand, InviteCommand, LoginArgs, LogoutArgs,
    PasswordArgs, PeersCommand, RegisterArgs,
};
pub(super) use asked::Asked;
pub(super) use config::ConfigCommand;
pub(super) use examples::with_examples;
pub(super) use share::{ServeArgs, ShareArgs, UiArgs, UnshareArgs};
pub(super) use transfer::{
    BrowseArgs, DownloadsArgs, DownloadsCommand, DownloadsOf, GetArgs, LinkArgs, Place, PushArgs,
    SearchArgs,
};

use crate::index_client::IndexUrl;

const EXAMPLES: &str = "\
Examples:
  p2pshare-peer --index http://127.0.0.1:7400 register alice
  p2pshare-peer share ~/Music
  p2pshare-peer serve
  p2pshare-peer search blue train
  p2pshare-peer get bob:/Films/Nosferatu.mkv
  p2pshare-peer link bob:/Films/Nosferatu.mkv
  p2pshare-peer push notes.pdf bob

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not logged in, 4 not found, 5 no source online, 6 verification failed.";

const DOCTOR_HELP: &str = "\
It looks at the data directory, its private files, the disk and the catalog; at the index, its key, its clock and the
session; and has the index try whether this peer can be reached. It ends with 1 if something fails.";

/// Share files with the people of your index: straight from peer to peer, every piece verified.
#[derive(Debug, Parser)]
#[command(name = "p2pshare-peer", version, after_help = EXAMPLES, propagate_version = true)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
pub struct GlobalArgs {
    /// URL of the index; several, separated by commas, if it runs as several servers.
    #[arg(long, global = true, env = "P2PSHARE_INDEX", value_name = "URL", value_delimiter = ',')]
    pub index: Vec<IndexUrl>,
    /// TOML file with settings. Unless told, `p2pshare/peer.toml` in the user's folder for configuration.
    #[arg(long, global = true, env = "P2PSHARE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where this peer keeps its key, its session and its catalog.
    #[arg(long, global = true, env = "P2PSHARE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON object a line, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print results only, no progress.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Tell more of what happens; twice: everything.
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Send traces to this OpenTelemetry collector, such as http://127.0.0.1:4317, by gRPC. None are made unless set.
    /// OpenTelemetry's other variables, such as OTEL_EXPORTER_OTLP_HEADERS, work too.
    #[cfg(feature = "otel")]
    #[arg(long, global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<p2pshare_telemetry::Endpoint>,
}

impl GlobalArgs {
    /// The collector that traces go to.
    pub(super) fn traces(&self) -> Option<&p2pshare_telemetry::Endpoint> {
        #[cfg(feature = "otel")]
        return self.otlp_endpoint.as_ref();
        #[cfg(not(feature = "otel"))]
        None
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an account at the index and log in.
    Register(RegisterArgs),
    /// Log in.
    Login(LoginArgs),
    /// Log out: the session ends at once, also for a peer that serves from this data directory.
    Logout(LogoutArgs),
    /// Say who is logged in, and where.
    Whoami,
    /// Change your password. Your other sessions end, on all machines.
    Password(ChangePasswordArgs),
    /// Delete your account, with all that it published and the groups that it owns.
    DeleteAccount(DeleteAccountArgs),
    /// Share files and folders. Sharing again hashes only what changed.
    Share(ShareArgs),
    /// Stop sharing.
    Unshare(UnshareArgs),
    /// List what is shared.
    Shares,
    /// Serve what is shared to other peers, and the page to you, until stopped.
    Serve(ServeArgs),
    /// Print an address that opens the running peer's page, once.
    Ui(UiArgs),
    /// Search what others share.
    Search(SearchArgs),
    /// List a user's folders and files.
    Browse(BrowseArgs),
    /// Download files and folders: by the running peer if there is one, else in this process.
    Get(GetArgs),
    /// List the downloads of the running peer, or change them.
    Downloads(DownloadsArgs),
    /// Print links to contents, for others who have an account at the same index.
    Link(LinkArgs),
    /// Upload a file to another user's running peer.
    Push(PushArgs),
    /// Say how things are: index, session, shares, peer.
    Status,
    /// Check all that a peer needs, and say what to do where something is wrong.
    #[command(after_help = DOCTOR_HELP)]
    Doctor,
    /// Your peers at the index: list them, or remove one that is lost.
    Peers {
        /// What to do; nothing: list them.
        #[command(subcommand)]
        command: Option<PeersCommand>,
    },
    /// Private groups.
    #[command(subcommand)]
    Group(GroupCommand),
    /// Invites to the index.
    #[command(subcommand)]
    Invite(InviteCommand),
    /// The configuration file: write one, show what is in force.
    #[command(subcommand, after_help = config::HELP)]
    Config(ConfigCommand),
    /// Print the manual page, or write those of all commands into a folder.
    Man {
        /// The folder.
        dir: Option<PathBuf>,
    },
    /// Print a script that completes commands in a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

impl Command {
    /// Whether it goes on until it is stopped, as a server does, and what it prints is no result.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Share(ShareArgs { watch: true, .. }))
    }

    /// Whether it goes on until it is stopped.
    pub(super) fn goes_on(&self) -> bool {
        self.is_lasting() || matches!(self, Self::Search(SearchArgs { follow: true, .. }))
    }

    /// Whether the configuration file matters to it: what makes or names the file must work when the file is broken.
    pub(super) fn reads_config(&self) -> bool {
        !matches!(
            self,
            Self::Completions { .. }
                | Self::Config(ConfigCommand::Init { .. } | ConfigCommand::Path)
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use p2pshare_core::api::{Kind, Sort};

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_name_of_the_api_is_read() {
        for name in Sort::NAMES {
            let cli = Cli::try_parse_from(["p2pshare-peer", "search", "--sort", name]).unwrap();
            let Command::Search(args) = cli.command else { panic!("it is a search") };
            assert_eq!(serde_json::to_value(args.sort).unwrap(), name);
        }
        for name in Kind::NAMES {
            let cli = Cli::try_parse_from(["p2pshare-peer", "search", "--kind", name]).unwrap();
            let Command::Search(args) = cli.command else { panic!("it is a search") };
            assert_eq!(serde_json::to_value(args.kind).unwrap(), name);
        }
        assert!(Cli::try_parse_from(["p2pshare-peer", "search", "--sort", "best"]).is_err());
    }
}
