//! Sharing and serving.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use p2pshare_core::{
    api::Visibility,
    identity::{GroupName, PeerAddr},
};

use crate::cli::values::{
    UiAddress, parse_advertise, parse_group_slots, parse_local, parse_size, parse_user_slots,
};
use crate::daemon::SlotsFor;

/// `share`
#[derive(Debug, Args)]
pub struct ShareArgs {
    /// Files and folders; none: look again at everything that is shared already.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Who can see it.
    #[command(flatten)]
    pub visibility: VisibilityArgs,
    /// The group is meant that has the name now, although another one had it when this was shared with that.
    #[arg(long, requires = "group")]
    pub new_group: bool,
    /// Share hidden files too.
    #[arg(long)]
    pub hidden: bool,
    /// Hash again what seems unchanged too. Finds files that a program wrote to without changing their size and time, and
    /// those that a failing disk has damaged.
    #[arg(long)]
    pub rehash: bool,
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
    /// Every user of the index (the default of what is not shared yet).
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
    /// Take files that others push, into this folder. Off unless set. 256 MiB of its disk stay free.
    #[arg(long, env = "P2PSHARE_INBOX", value_name = "DIR")]
    pub inbox: Option<PathBuf>,
    /// Uploads at a time, 8 unless told; others wait in a queue that is fair by user.
    #[arg(long, env = "P2PSHARE_UPLOAD_SLOTS", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub upload_slots: Option<u16>,
    /// More uploads at a time that only this user gets, such as alice=2. Can be repeated.
    #[arg(long, env = "P2PSHARE_USER_SLOTS", value_name = "USER=N", value_delimiter = ',')]
    #[arg(value_parser = parse_user_slots)]
    pub user_slots: Vec<SlotsFor>,
    /// More uploads at a time that only members of this group get, one that you are in, such as lab=4. Can be repeated.
    #[arg(long, env = "P2PSHARE_GROUP_SLOTS", value_name = "GROUP=N", value_delimiter = ',')]
    #[arg(value_parser = parse_group_slots)]
    pub group_slots: Vec<SlotsFor>,
    /// Most bytes a second to send, such as 5MB. No limit unless set; 0: none.
    #[arg(long, env = "P2PSHARE_UPLOAD_LIMIT", value_name = "RATE", value_parser = parse_size)]
    pub upload_limit: Option<u64>,
    /// Let Prometheus read at /metrics of this address, or of this port on 127.0.0.1, what the peer does. Off unless set.
    #[arg(long, env = "P2PSHARE_METRICS", value_name = "ADDR", value_parser = parse_local)]
    pub metrics: Option<SocketAddr>,
    /// Do not tell the local network that this peer is there, and do not look for others there.
    #[arg(long, env = "P2PSHARE_NO_LAN")]
    pub no_lan: bool,
    /// Do not ask the router to let others in. It is asked (by PCP, NAT-PMP or UPnP) if it is between this peer and its
    /// index, unless --advertise says where others reach the peer.
    #[arg(long, env = "P2PSHARE_NO_PORT_MAPPING")]
    pub no_port_mapping: bool,
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
