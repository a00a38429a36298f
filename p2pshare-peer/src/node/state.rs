//! How the node is at the moment.

use std::net::SocketAddr;

use p2pshare_core::identity::{PeerAddr, PeerId, Username};
use serde::Serialize;

use super::{Node, Topic, lock, text};
use crate::daemon::DaemonEvent;

/// Who is logged in, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// The user.
    pub username: Username,
    /// URLs of the index.
    pub index: Vec<String>,
    /// Whether the user may operate the index; `false` while that is not known.
    pub operator: bool,
}

/// How the node is at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// The version of the program.
    pub version: &'static str,
    /// Whoever is logged in.
    pub account: Option<AccountView>,
    /// The peer's id.
    pub peer: PeerId,
    /// Where it listens for other peers.
    pub listen: Option<SocketAddr>,
    /// Where others were told to reach it.
    pub addresses: Vec<PeerAddr>,
    /// Whether the index takes it for online.
    pub online: bool,
    /// What is wrong at the moment.
    pub trouble: Option<String>,
    /// Why nobody is logged in any more, if nobody has logged out here.
    pub ended: Option<String>,
    /// Files that the index knows of it.
    pub published: u64,
    /// Where pushes of others go.
    pub inbox: Option<String>,
    /// Where downloads go unless told otherwise.
    pub download_folder: String,
    /// The index to log in at unless told otherwise.
    pub default_index: String,
}

/// What changes while the node runs.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) listen: Option<SocketAddr>,
    pub(super) addresses: Vec<PeerAddr>,
    pub(super) online: bool,
    pub(super) trouble: Option<String>,
    pub(super) ended: Option<String>,
    pub(super) published: u64,
}

impl Node {
    /// How it is at the moment.
    pub fn state(&self) -> State {
        let settings = self.inner.settings.current();
        let account = self.inner.link.borrow().as_ref().map(|link| link.view());
        let live = lock(&self.inner.live);
        State {
            version: env!("CARGO_PKG_VERSION"),
            account,
            peer: self.inner.peer,
            listen: live.listen,
            addresses: live.addresses.clone(),
            online: live.online,
            trouble: live.trouble.clone(),
            ended: live.ended.clone(),
            published: live.published,
            inbox: settings.inbox.as_deref().map(text),
            download_folder: text(&settings.download_folder),
            default_index: self
                .inner
                .options
                .default_index
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }

    /// Notes what the daemon tells.
    pub(super) fn note(&self, event: &DaemonEvent) {
        if let DaemonEvent::Watch(event) = event {
            return self.note_watch(event);
        }
        self.live(|live| match event {
            DaemonEvent::Ready { listen, addresses, published } => {
                live.listen = Some(*listen);
                live.addresses.clone_from(addresses);
                live.published = *published;
                live.online = true;
                live.trouble = None;
            }
            DaemonEvent::Moved { addresses, .. } => live.addresses.clone_from(addresses),
            DaemonEvent::Online => {
                live.online = true;
                live.trouble = None;
            }
            DaemonEvent::Offline(why) => {
                live.online = false;
                live.trouble = Some(why.clone());
            }
            DaemonEvent::Published { total } => live.published = *total,
            // What passes is told once, below: nobody would say when it is over.
            DaemonEvent::Trouble(_)
            | DaemonEvent::Unreachable { .. }
            | DaemonEvent::LoggedOut
            | DaemonEvent::Watch(_)
            | DaemonEvent::Received(_)
            | DaemonEvent::PushRefused(..) => {}
        });
        if let DaemonEvent::Trouble(why) = event {
            self.inner.changes.warn(why.clone());
        }
        if matches!(event, DaemonEvent::Unreachable { .. }) {
            self.inner.changes.warn(
                "others cannot reach this peer: its port has to be let through firewall and router",
            );
        }
        if matches!(
            event,
            DaemonEvent::Ready { .. } | DaemonEvent::Published { .. } | DaemonEvent::Trouble(_)
        ) {
            self.recount();
        }
    }

    /// Changes what is told of the node.
    pub(super) fn live(&self, change: impl FnOnce(&mut Live)) {
        change(&mut lock(&self.inner.live));
        self.inner.changes.tell(Topic::State);
    }
}
