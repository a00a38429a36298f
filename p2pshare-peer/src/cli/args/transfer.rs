//! Finding, downloading and pushing.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
};

use clap::{Args, Subcommand};
use p2pshare_core::{
    api::{Kind, Sort},
    identity::Username,
    path::SharePath,
    time::Timestamp,
};

use super::Asked;
use crate::{
    cli::values::{named, parse_share_path, parse_since, parse_size},
    download::Target,
    downloads::DownloadId,
};

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
    /// Only what was published so long ago at most, or since then, such as 36h, 7d, 2w or 2026-11-01.
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<Timestamp>,
    /// Order of the hits.
    #[arg(long, default_value = "relevance", value_parser = named::<Sort>(&Sort::NAMES))]
    pub sort: Sort,
    /// Most hits; with --follow most of those that are there at first.
    #[arg(long, value_name = "N", default_value = "25")]
    pub limit: NonZeroU32,
    /// Go on, and print what is new as it is published, the newest first each time, until stopped.
    #[arg(long, short, conflicts_with = "sort")]
    pub follow: bool,
    /// With --follow: how often to look for what is new.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "follow")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub every: u32,
}

/// `browse`
#[derive(Debug, Args)]
pub struct BrowseArgs {
    /// Whose shares, and from which folder on if it is told here.
    #[arg(value_name = "USER|USER:/PATH")]
    pub of: Place,
    /// The folder; all shares unless told.
    #[arg(value_parser = parse_share_path)]
    pub path: Option<SharePath>,
    /// List every file below the folder.
    #[arg(long, short)]
    pub recursive: bool,
}

/// A user's shares, or a folder of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose.
    pub user: Username,
    /// The folder.
    pub path: Option<SharePath>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains(':') {
            let user = text.parse::<Username>().map_err(|error| error.to_string())?;
            return Ok(Self { user, path: None });
        }
        match text.parse::<Target>().map_err(|error| error.to_string())? {
            Target::Path { owner, path } => Ok(Self { user: owner, path }),
            _ => Err("this is no place: write USER or USER:/PATH".to_owned()),
        }
    }
}

/// `get`
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Content ids, `USER:/PATH` of files or folders, `p2pshare:` links; or words to search for and choose from.
    #[arg(required = true, value_name = "ID|USER:/PATH|LINK|WORDS")]
    pub what: Vec<Asked>,
    /// Where to put it: a folder, or for one file its name; a folder that is not there yet ends in `/`. The current
    /// folder unless told; `-`: to standard output.
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Download in this very process, although a peer runs that could do it in the background. So do --no-serve,
    /// --listen, --no-sync, --insecure and limits.
    #[arg(long, alias = "no-daemon", env = "P2PSHARE_HERE")]
    pub here: bool,
    /// Let the running peer do it, and do not wait for it.
    #[arg(long, short, conflicts_with = "here")]
    pub detach: bool,
    /// Replace files that are there; what a large one has in common with the new one, piece by piece, is not fetched again.
    #[arg(long)]
    pub overwrite: bool,
    /// Most bytes a second to receive, such as 5MB. No limit unless set; 0: none.
    #[arg(long, env = "P2PSHARE_DOWNLOAD_LIMIT", value_name = "RATE", value_parser = parse_size)]
    pub download_limit: Option<u64>,
    /// Do not serve to others what is downloaded while it is.
    #[arg(long, env = "P2PSHARE_NO_SERVE")]
    pub no_serve: bool,
    /// Where to listen for others while downloading; any port unless told.
    #[arg(long, value_name = "ADDR", conflicts_with = "no_serve")]
    pub listen: Option<SocketAddr>,
    /// Most bytes a second to send to others while downloading, such as 5MB. No limit unless set; 0: none.
    #[arg(long, env = "P2PSHARE_UPLOAD_LIMIT", value_name = "RATE", value_parser = parse_size)]
    pub upload_limit: Option<u64>,
    /// Seconds to wait for a source when none is online. In the running peer also for whatever else a download waits for,
    /// which is given two minutes at least; it goes on in the background.
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
    #[arg(long, value_name = "N", default_value = "100")]
    pub limit: NonZeroUsize,
    /// What to do with some of them.
    #[command(subcommand)]
    pub command: Option<DownloadsCommand>,
}

/// `downloads …`
#[derive(Debug, Subcommand)]
pub enum DownloadsCommand {
    /// List the files of one, with what keeps each from coming.
    Files {
        /// Its number, as `downloads` lists it.
        #[arg(value_name = "ID")]
        id: DownloadId,
        /// Only those that could not be fetched.
        #[arg(long)]
        failed: bool,
    },
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
    /// Files, and folders with what is in them: what a share of them would have.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// To whom. Their peer must run with an inbox.
    pub user: Username,
    /// Most bytes a second to send, such as 5MB. No limit unless set; 0: none.
    #[arg(long, env = "P2PSHARE_UPLOAD_LIMIT", value_name = "RATE", value_parser = parse_size)]
    pub upload_limit: Option<u64>,
    /// Connect without encryption, for peers that serve with --insecure.
    #[arg(long, env = "P2PSHARE_INSECURE")]
    pub insecure: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_user_or_a_path_as_search_prints_it() {
        let place = |text: &str| text.parse::<Place>();
        let user: Username = "alice".parse().unwrap();
        let path = Some(SharePath::parse("Music/Live").unwrap());
        for text in ["alice", "alice:/"] {
            assert_eq!(place(text), Ok(Place { user: user.clone(), path: None }), "{text}");
        }
        for text in ["alice:/Music/Live", "alice:/Music/Live/"] {
            assert_eq!(place(text), Ok(Place { user: user.clone(), path: path.clone() }), "{text}");
        }
        for text in ["", "al ice", "alice:Music", ":/x", "p2pshare:http://h/x/y"] {
            assert!(place(text).is_err(), "{text}");
        }
    }
}
