//! The arguments as they are given.

mod examples;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use p2pshare_core::identity::{GroupName, Username};

use super::{
    sections::{
        CommunitySection, DataSection, LimitsSection, LogSection, ServerSection, TracesSection,
    },
    span::Span,
    store::StoreText,
};

const EXAMPLES: &str = "\
Examples:
  An index for this machine, with its data in the usual folder:
      p2pshare-index serve

  For a community on the internet, by invitation, with a certificate of its own making:
      p2pshare-index user create alice --admin
      p2pshare-index serve --listen 0.0.0.0:7400 --tls-self-signed --registration invite

  Somebody forgot their password:
      p2pshare-index user reset-password bob

  A new key to sign grants with, while transfers run:
      p2pshare-index keys rotate

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

const SERVE_HELP: &str = "\
Examples:
  p2pshare-index serve
  p2pshare-index serve --listen 0.0.0.0:7400 --tls-self-signed --registration invite
  p2pshare-index serve --config /etc/p2pshare/index.toml

When it is ready it prints one line, `p2pshare-index is listening on URL`, and nothing more; its log goes to standard
error. SIGINT and SIGTERM stop it after running requests have ended.

Every option can also be set by the environment variable that is named beside it, and in a TOML file (--config) in the
section of its heading:

      [data]
      store = \"sqlite:/var/lib/p2pshare/index.db\"

      [community]
      name = \"Friends of the archive\"
      registration = \"invite\"

      [server]
      listen = \"0.0.0.0:7400\"
      tls-self-signed = true

      [limits]
      files-per-user = 100000

An argument counts before a variable, a variable before the file, the file before the default.";

/// The index of a p2pshare community: accounts, catalog and search.
///
/// People and machines register here, publish what they share and search what others share. The files themselves never
/// pass through the index: peers fetch them from each other.
#[derive(Debug, Parser)]
#[command(name = "p2pshare-index", version, after_help = EXAMPLES, max_term_width = 110)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the index
    #[command(after_help = examples::SERVE, after_long_help = SERVE_HELP)]
    Serve(Box<ServeArgs>),
    /// Manage accounts
    ///
    /// Works on the store directly, whether or not the index runs. Passwords come from a prompt, --password-stdin or
    /// P2PSHARE_PASSWORD, never from an argument, which others on the machine could see.
    #[command(after_help = examples::USER)]
    User(UserArgs),
    /// See all groups, and give one to another of its members
    ///
    /// Works on the store directly, whether or not the index runs.
    #[command(after_help = examples::GROUP)]
    Group(GroupArgs),
    /// Manage the keys that sign grants
    ///
    /// Works on the file of the keys, whether or not the index runs; one that runs follows it.
    #[command(after_help = examples::KEYS)]
    Keys(KeysArgs),
    /// Copy a community into another store, or check a store
    ///
    /// Stop every index of the community first.
    #[command(after_help = examples::STORE)]
    Store(StoreArgs),
    /// The configuration file: write one, show what is in force
    #[command(after_help = examples::CONFIG)]
    Config(ConfigArgs),
    /// Print the OpenAPI description of the HTTP API
    #[command(after_help = examples::OPENAPI)]
    Openapi,
    /// Print the manual page, or write those of all commands into a folder
    #[command(after_help = examples::MAN)]
    Man {
        /// The folder
        dir: Option<PathBuf>,
    },
    /// Print completions for a shell
    ///
    /// For bash: p2pshare-index completions bash > ~/.local/share/bash-completion/completions/p2pshare-index
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    #[command(flatten)]
    pub(super) data: DataSection,
    #[command(flatten)]
    pub(super) community: CommunitySection,
    #[command(flatten)]
    pub(super) server: ServerSection,
    #[command(flatten)]
    pub(super) limits: LimitsSection,
    #[command(flatten)]
    pub(super) log: LogSection,
    #[command(flatten)]
    pub(super) traces: TracesSection,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct ConfigFile {
    /// TOML file with options; unknown keys in it are an error [default: p2pshare/index.toml in the user's folder for
    /// configuration, if it is there]
    #[arg(
        long = "config",
        env = "P2PSHARE_INDEX_CONFIG",
        value_name = "FILE",
        help_heading = "Data",
        global = true
    )]
    pub(super) path: Option<PathBuf>,
}

impl ConfigFile {
    /// The file of this user, which is read unless another is named; `None` if they have no home.
    pub(super) fn default_path() -> Option<PathBuf> {
        let dirs = directories::ProjectDirs::from("", "", "p2pshare")?;
        Some(dirs.config_dir().join("index.toml"))
    }

    /// The file that is named, else that of this user if it is there.
    pub(super) fn or_default(self) -> Self {
        let path = self.path.or_else(|| Self::default_path().filter(|path| path.exists()));
        Self { path }
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    #[command(subcommand)]
    pub(super) command: ConfigCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Write a file with every option, explained and commented out
    #[command(after_help = examples::CONFIG_INIT)]
    Init {
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Print every option, its value and where that comes from
    #[command(after_help = examples::CONFIG_SHOW)]
    Show {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print where the configuration file is, or would be
    #[command(after_help = examples::CONFIG_PATH)]
    Path,
}

/// What every command takes that works beside an index.
#[derive(Debug, ClapArgs)]
pub(super) struct ToolArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    #[command(flatten)]
    pub(super) data: DataSection,
    #[command(flatten)]
    pub(super) log: LogSection,
}

#[derive(Debug, ClapArgs)]
pub(super) struct UserArgs {
    #[command(flatten)]
    pub(super) tool: ToolArgs,
    #[command(subcommand)]
    pub(super) command: UserCommand,
}

#[derive(Debug, ClapArgs)]
pub(super) struct GroupArgs {
    #[command(flatten)]
    pub(super) tool: ToolArgs,
    #[command(subcommand)]
    pub(super) command: GroupCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// List the groups of all, with their owners
    #[command(after_help = examples::GROUP_LIST)]
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Give a group to one of its members, as when its owner has gone
    #[command(after_help = examples::GROUP_TRANSFER)]
    Transfer {
        /// The group
        group: GroupName,
        /// To whom
        user: Username,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct KeysArgs {
    #[command(flatten)]
    pub(super) tool: ToolArgs,
    #[command(subcommand)]
    pub(super) command: KeysCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// List the keys, oldest first
    #[command(after_help = examples::KEYS_LIST)]
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Make a new key and let it sign, after some time in which peers learn of it
    ///
    /// The old key gives its word for the new one, so peers trust it without asking their users, and is published until
    /// its grants are over: no transfer breaks.
    #[command(after_help = examples::KEYS_ROTATE)]
    Rotate {
        /// From when on the new key signs: long enough for every running peer to hear of it at a heartbeat
        #[arg(long, value_name = "TIME", default_value = "5m")]
        after: Span,
        /// The keys may be stolen: forget them, let a new one sign at once that they give no word for
        ///
        /// Transfers break until every user has logged in again with --accept-new-key.
        #[arg(long, conflicts_with = "after")]
        distrust_old: bool,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List all accounts, in order of name
    #[command(after_help = examples::USER_LIST)]
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Disable an account: its sessions end at once, its grants within their lifetime, its files are no longer found
    ///
    /// What it shared is published again by its peers once it is enabled and logs in. Groups that it owns stay.
    #[command(after_help = examples::USER_DISABLE)]
    Disable {
        /// Whose
        user: Username,
    },
    /// Delete an account with all it published and the groups that it owns
    ///
    /// This cannot be undone; the name is free for anybody then. To keep somebody out, disable the account.
    #[command(after_help = examples::USER_DELETE)]
    Delete {
        /// Whose
        user: Username,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Enable a disabled account
    #[command(after_help = examples::USER_ENABLE)]
    Enable {
        /// Whose
        user: Username,
    },
    /// Make an account an operator of the index
    #[command(after_help = examples::USER_PROMOTE)]
    Promote {
        /// Whose
        user: Username,
    },
    /// Make an operator a user like others; the account stays
    #[command(after_help = examples::USER_DEMOTE)]
    Demote {
        /// Whose
        user: Username,
    },
    /// Set a new password; all sessions of the account end
    #[command(after_help = examples::USER_RESET_PASSWORD)]
    ResetPassword {
        /// Whose
        user: Username,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make an account, whatever the registration policy
    #[command(after_help = examples::USER_CREATE)]
    Create {
        /// The name
        user: Username,
        /// Make it an operator of the index
        #[arg(long)]
        admin: bool,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    pub(super) log: LogSection,
    #[command(subcommand)]
    pub(super) command: StoreCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Copy all of a store into another one
    ///
    /// Read both afterwards and compare their counts and checksums. The keys that sign grants are not in the store: take
    /// the file along.
    #[command(after_help = examples::STORE_COPY)]
    Copy {
        /// The store that is read: `sqlite:PATH` or `mongodb://…`
        #[arg(long, env = "P2PSHARE_INDEX_COPY_FROM", hide_env_values = true, value_name = "URI")]
        from: StoreText,
        /// The store that is written, which must be empty
        #[arg(long, env = "P2PSHARE_INDEX_COPY_TO", hide_env_values = true, value_name = "URI")]
        to: StoreText,
        /// Go on with a copy that was broken off: the other store holds part of it
        #[arg(long)]
        resume: bool,
    },
    /// Check that a store is not damaged and keeps its promises
    ///
    /// Read all of it. An index may run meanwhile, but what it writes then can look wrong.
    #[command(after_help = examples::STORE_CHECK)]
    Check {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        data: DataSection,
    },
}
