//! Accounts, groups and invites.

use clap::{Args, Subcommand};
use p2pshare_core::identity::{GroupName, Username};

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
    /// Forget the session here without telling the index, as when that is away: there it goes on until it ends by itself.
    #[arg(long, conflicts_with = "everywhere")]
    pub forget: bool,
}

/// `password`
#[derive(Debug, Args)]
pub struct ChangePasswordArgs {
    /// Read the password until now and the new one from the first two lines of standard input.
    #[arg(long)]
    pub password_stdin: bool,
}

/// `delete-account`
#[derive(Debug, Args)]
pub struct DeleteAccountArgs {
    /// Your name, so that it is no mistake.
    pub user: Username,
    /// How the password is given.
    #[command(flatten)]
    pub password: PasswordArgs,
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
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        uses: Option<u32>,
        /// How many hours it is good for, up to 90 days.
        #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=2160))]
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

/// `peers …`
#[derive(Debug, Subcommand)]
pub enum PeersCommand {
    /// List your peers.
    List,
    /// Forget a peer of yours that is lost, with all it shared.
    ///
    /// Nobody finds its files any more. If it still runs and is logged in, it comes back: `logout --everywhere` ends all of
    /// your sessions.
    Remove {
        /// The peer: the first characters of its id, as `peers` shows them.
        #[arg(value_name = "PEER")]
        id: String,
    },
}
