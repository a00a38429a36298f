//! The command line, as it is typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;
use p2pshare_core::{
    api::{Kind, Sort, Visibility},
    identity::{GroupName, PeerAddr, Username},
    path::SharePath,
};

mod asked;
mod config;
mod examples;

pub(super) use asked::Asked;
pub(super) use config::ConfigCommand;
pub(super) use examples::with_examples;

use super::values::{UiAddress, named, parse_advertise, parse_local, parse_share_path, parse_size};
use crate::{download::Target, downloads::DownloadId, index_client::IndexUrl};

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
    /// Whether it goes on until it is stopped, as a server does.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Share(ShareArgs { watch: true, .. }))
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

/// How a password is given: never as an argument, where others could see it.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// Read the password from the first line of standard input.
    #[arg(long)]
    pub password_stdin: bool,
}

/// `register`
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// The name wanted: 1 to 32 of a-z, 0-9, `.`, `_`, `-`.
    pub user: Username,
    /// An invite code, where the index asks for one.
    #[arg(long, value_name = "CODE")]
    pub invite: Option<String>,
    /// How the password is given.
    #[command(flatten)]
    pub password: PasswordArgs,
}

/// `login`
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// The user.
    pub user: Username,
    /// Take the index's key although it is another than before. Only if its operator told you so.
    #[arg(long)]
    pub accept_new_key: bool,
    /// How the password is given.
    #[command(flatten)]
    pub password: PasswordArgs,
}

/// `logout`
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// End every session of the user, on all machines.
    #[arg(long)]
    pub everywhere: bool,
}

/// `share`
#[derive(Debug, Args)]
pub struct ShareArgs {
    /// Files and folders; none: look again at everything that is shared already.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Who can see it.
    #[command(flatten)]
    pub visibility: VisibilityArgs,
    /// Share hidden files too.
    #[arg(long)]
    pub hidden: bool,
    /// Go on following what changes, until stopped. What is shared is followed by `serve` anyway, unless told otherwise.
    #[arg(long)]
    pub watch: bool,
    /// Do not follow what changes, in `serve` either: only `share` looks at it.
    #[arg(long, conflicts_with = "watch")]
    pub no_watch: bool,
}

impl ShareArgs {
    /// Whether what is shared is to be followed, if that was told.
    pub fn watched(&self) -> Option<bool> {
        match (self.watch, self.no_watch) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

/// Who can see what is shared; everybody unless told.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct VisibilityArgs {
    /// Every user of the index (the default).
    #[arg(long)]
    pub public: bool,
    /// Nobody finds it; whoever has the content id can fetch it.
    #[arg(long)]
    pub unlisted: bool,
    /// Members of this group only.
    #[arg(long, value_name = "GROUP")]
    pub group: Option<GroupName>,
}

impl VisibilityArgs {
    /// The visibility that was asked for, if one was.
    pub fn visibility(&self) -> Option<Visibility> {
        match &self.group {
            Some(group) => Some(Visibility::Group(group.clone())),
            None if self.unlisted => Some(Visibility::Unlisted),
            None if self.public => Some(Visibility::Public),
            None => None,
        }
    }
}

/// `unshare`
#[derive(Debug, Args)]
pub struct UnshareArgs {
    /// A path that was shared, a path below it, or a content id.
    #[arg(required = true, value_name = "PATH|ID")]
    pub what: Vec<String>,
}

/// `serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where to listen for other peers. Port 0: any free port.
    #[arg(long, env = "P2PSHARE_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:7401")]
    pub listen: SocketAddr,
    /// Where others can reach this peer, if that is not where it listens. Can be repeated; best first.
    #[arg(long, env = "P2PSHARE_ADVERTISE", value_name = "HOST:PORT", value_delimiter = ',')]
    #[arg(value_parser = parse_advertise)]
    pub advertise: Vec<PeerAddr>,
    /// Take files that others push, into this folder. Off unless set.
    #[arg(long, env = "P2PSHARE_INBOX", value_name = "DIR")]
    pub inbox: Option<PathBuf>,
    /// Uploads at a time, 8 unless told; others wait in a queue that is fair by user.
    #[arg(long, env = "P2PSHARE_UPLOAD_SLOTS", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub upload_slots: Option<u16>,
    /// Most bytes a second to send, such as 5MB. No limit unless set.
    #[arg(long, env = "P2PSHARE_UPLOAD_LIMIT", value_name = "RATE", value_parser = parse_size)]
    pub upload_limit: Option<u64>,
    /// Let Prometheus read at /metrics of this address, or of this port on 127.0.0.1, what the peer does. Off unless set.
    #[arg(long, env = "P2PSHARE_METRICS", value_name = "ADDR", value_parser = parse_local)]
    pub metrics: Option<SocketAddr>,
    /// Do not tell the local network that this peer is there, and do not look for others there.
    #[arg(long, env = "P2PSHARE_NO_LAN")]
    pub no_lan: bool,
    /// Serve without encryption. Only for tests on one machine or a network you trust.
    #[arg(long, env = "P2PSHARE_INSECURE")]
    pub insecure: bool,
    /// Where to serve the page and take commands, a loopback address, or `off`. Unless told 127.0.0.1:7402, or any free
    /// port if that is taken.
    #[arg(long, env = "P2PSHARE_UI", value_name = "ADDR|off")]
    pub ui: Option<UiAddress>,
}

/// `ui`
#[derive(Debug, Args)]
pub struct UiArgs {
    /// Open it in the browser too.
    #[arg(long)]
    pub open: bool,
}

/// `search`
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words that must all begin a word of the path; `-word` excludes (after `--`).
    pub words: Vec<String>,
    /// Only these extensions.
    #[arg(long, value_name = "EXT", value_delimiter = ',')]
    pub ext: Vec<String>,
    /// Only this kind of file.
    #[arg(long, value_parser = named::<Kind>(&Kind::NAMES))]
    pub kind: Option<Kind>,
    /// Smallest size, such as 700MB.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub min_size: Option<u64>,
    /// Largest size.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_size: Option<u64>,
    /// Only what this user shares.
    #[arg(long, value_name = "USER")]
    pub owner: Option<Username>,
    /// Order of the hits.
    #[arg(long, default_value = "relevance", value_parser = named::<Sort>(&Sort::NAMES))]
    pub sort: Sort,
    /// Most hits.
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub limit: u32,
}

/// `browse`
#[derive(Debug, Args)]
pub struct BrowseArgs {
    /// Whose shares.
    pub user: Username,
    /// The folder; all shares unless told.
    #[arg(value_parser = parse_share_path)]
    pub path: Option<SharePath>,
    /// List every file below the folder.
    #[arg(long, short)]
    pub recursive: bool,
}

/// `get`
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Content ids, `USER:/PATH` of files or folders, `p2pshare:` links; or words to search for and choose from.
    #[arg(required = true, value_name = "ID|USER:/PATH|LINK|WORDS")]
    pub what: Vec<Asked>,
    /// Where to put it: a folder, or for one file its name. The current folder unless told; `-`: to standard output.
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Download in this very process, although a peer runs that could do it in the background. So do --no-serve,
    /// --listen, --no-sync, --insecure and limits.
    #[arg(long, alias = "no-daemon", env = "P2PSHARE_HERE")]
    pub here: bool,
    /// Let the running peer do it, and do not wait for it.
    #[arg(long, short, conflicts_with = "here")]
    pub detach: bool,
    /// Replace files that are there.
    #[arg(long)]
    pub overwrite: bool,
    /// Most bytes a second to receive, such as 5MB. No limit unless set.
    #[arg(long, env = "P2PSHARE_DOWNLOAD_LIMIT", value_name = "RATE", value_parser = parse_size)]
    pub download_limit: Option<u64>,
    /// Do not serve to others what is downloaded while it is.
    #[arg(long, env = "P2PSHARE_NO_SERVE")]
    pub no_serve: bool,
    /// Where to listen for others while downloading; any port unless told.
    #[arg(long, value_name = "ADDR", conflicts_with = "no_serve")]
    pub listen: Option<SocketAddr>,
    /// Most bytes a second to send to others while downloading, such as 5MB. No limit unless set.
    #[arg(long, env = "P2PSHARE_UPLOAD_LIMIT", value_name = "RATE", value_parser = parse_size)]
    pub upload_limit: Option<u64>,
    /// Seconds to wait for a source when none is online.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait: u64,
    /// Do not look for sources in the local network.
    #[arg(long, env = "P2PSHARE_NO_LAN")]
    pub no_lan: bool,
    /// Do not wait until the files are safely on disk: faster, but a power failure may lose them.
    #[arg(long)]
    pub no_sync: bool,
    /// Connect to peers without encryption, for peers that serve with --insecure.
    #[arg(long, env = "P2PSHARE_INSECURE")]
    pub insecure: bool,
}

/// `downloads`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DownloadsArgs {
    /// List those that are done, failed or cancelled too.
    #[arg(long)]
    pub all: bool,
    /// Most downloads to list.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// What to do with some of them.
    #[command(subcommand)]
    pub command: Option<DownloadsCommand>,
}

/// `downloads …`
#[derive(Debug, Subcommand)]
pub enum DownloadsCommand {
    /// Stop for now; what has come stays.
    Pause(DownloadsOf),
    /// Go on.
    Resume(DownloadsOf),
    /// Give up, and remove what has come of files that are not complete.
    Cancel(DownloadsOf),
    /// Try again what failed or was cancelled.
    Retry(DownloadsOf),
    /// Take from the list what is done, failed or cancelled. Files stay.
    Forget(DownloadsOf),
}

/// Some downloads.
#[derive(Debug, Args)]
pub struct DownloadsOf {
    /// Their numbers, as `downloads` lists them.
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub ids: Vec<DownloadId>,
    /// All that it can be done with.
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
}

/// `link`
#[derive(Debug, Args)]
pub struct LinkArgs {
    /// Content ids, or `USER:/PATH` of files or folders: one link for each file.
    #[arg(required = true, value_name = "ID|USER:/PATH")]
    pub what: Vec<Target>,
}

/// `push`
#[derive(Debug, Args)]
pub struct PushArgs {
    /// The file.
    pub file: PathBuf,
    /// To whom. Their peer must run with an inbox.
    pub user: Username,
    /// Connect without encryption, for peers that serve with --insecure.
    #[arg(long, env = "P2PSHARE_INSECURE")]
    pub insecure: bool,
}

/// `group …`
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a group.
    Create {
        /// Its name.
        group: GroupName,
    },
    /// Add a user to a group of yours.
    Add {
        /// The group.
        group: GroupName,
        /// Whom.
        user: Username,
    },
    /// Remove a member from a group of yours.
    Remove {
        /// The group.
        group: GroupName,
        /// Whom.
        user: Username,
    },
    /// Leave a group.
    Leave {
        /// The group.
        group: GroupName,
    },
    /// List the groups you are in.
    List,
    /// List the members of a group.
    Members {
        /// The group.
        group: GroupName,
    },
    /// Give a group of yours to another member.
    Transfer {
        /// The group.
        group: GroupName,
        /// To whom.
        user: Username,
    },
    /// Delete a group of yours, and what is shared with it.
    Delete {
        /// The group.
        group: GroupName,
    },
}

/// `invite …`
#[derive(Debug, Subcommand)]
pub enum InviteCommand {
    /// Make an invite code.
    Create {
        /// How many accounts can be made with it.
        #[arg(long, value_name = "N")]
        uses: Option<u32>,
        /// How many hours it is good for.
        #[arg(long, value_name = "HOURS")]
        hours: Option<u32>,
        /// A group of yours that the new user joins.
        #[arg(long)]
        group: Option<GroupName>,
    },
    /// List your invites.
    List,
    /// Revoke an invite.
    Revoke {
        /// Its id, as `invite list` shows it.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

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
