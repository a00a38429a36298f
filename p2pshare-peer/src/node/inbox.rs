//! What others push.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use p2pshare_core::{
    identity::Username,
    text::visible,
    time::Timestamp,
    transfer::{PushOffer, PushReceiver, PushTarget, TransferError},
};
use serde::Serialize;

use super::{Node, NodeError, Topic, changes, lock, text};
use crate::{
    daemon::{DaemonEvent, DaemonEvents},
    inbox::{Inbox, InboxError, InboxOptions, Received},
    share::is_unfinished,
};

/// Of pushes that are refused one is told in this time.
const TELL_REFUSED_EVERY: Duration = Duration::from_secs(5);

/// Files that are listed.
const MAX_LISTED: usize = 200;

/// Files that are looked at; in a larger inbox some are not seen.
const MAX_SEEN: usize = 100_000;

/// Folders below each other that are looked into.
const MAX_DEPTH: usize = 16;

/// A file that somebody pushed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ReceivedView {
    /// When it was complete.
    pub received_at: Timestamp,
    /// Who sent it.
    pub user: String,
    /// Its name in the sender's folder.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
}

/// What is in the inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InboxView {
    /// The folder; `None`: pushes are refused.
    pub folder: Option<String>,
    /// The newest first.
    pub items: Vec<ReceivedView>,
}

/// An inbox that can be opened, closed and moved while the peer serves.
pub(super) struct LiveInbox {
    current: Mutex<Option<Inbox>>,
    changes: changes::Sender,
    /// Who is told of what comes, once the node runs.
    events: Arc<Mutex<Option<DaemonEvents>>>,
    refused_at: Mutex<Option<Instant>>,
}

impl LiveInbox {
    pub(super) fn new(changes: changes::Sender) -> Self {
        Self {
            current: Mutex::new(None),
            changes,
            events: Arc::default(),
            refused_at: Mutex::default(),
        }
    }

    /// From now on these are told of what comes.
    pub(super) fn tell(&self, events: DaemonEvents) {
        *lock(&self.events) = Some(events);
    }

    /// From now on pushes go there; `None`: they are refused. Those that run end where they are. Blocks.
    pub(super) fn set(&self, folder: Option<&Path>) -> Result<(), InboxError> {
        let (changes, events) = (self.changes.clone(), self.events.clone());
        let on_received = move |received: Received| {
            let (from, name) = (&received.from, received.name.as_str());
            changes.inform(format!("{from} has sent you {}", visible(name)));
            changes.tell(Topic::Inbox);
            let events = lock(&events).clone();
            if let Some(events) = events {
                events(DaemonEvent::Received(received));
            }
        };
        let options =
            InboxOptions { on_received: Some(Arc::new(on_received)), ..InboxOptions::default() };
        let inbox = folder.map(|folder| Inbox::open(folder, options)).transpose()?;
        *lock(&self.current) = inbox;
        Ok(())
    }

    /// Tells of a push that was refused, not of one after the other.
    fn refused(&self, offer: &PushOffer, why: &str) {
        let mut last = lock(&self.refused_at);
        if last.is_some_and(|last| last.elapsed() < TELL_REFUSED_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        let events = lock(&self.events).clone();
        if let Some(events) = events {
            let (from, name) = (offer.from.clone(), offer.name.clone());
            events(DaemonEvent::PushRefused(from, name, why.to_owned()));
        }
    }

    fn current(&self) -> Option<Inbox> {
        lock(&self.current).clone()
    }
}

#[async_trait]
impl PushReceiver for LiveInbox {
    fn check_length(&self, length: u64) -> Result<(), TransferError> {
        self.current().ok_or_else(closed)?.check_length(length)
    }

    async fn accept(&self, offer: &PushOffer) -> Result<PushTarget, TransferError> {
        let inbox = self.current().ok_or_else(closed)?;
        let accepted = inbox.accept(offer).await;
        if let Err(error) = &accepted {
            self.refused(offer, &error.to_string());
        }
        accepted
    }
}

fn closed() -> TransferError {
    TransferError::Refused(
        "this peer does not take files from others: it serves without an inbox".to_owned(),
    )
}

impl Node {
    /// What others have pushed, as far as it is still there.
    pub async fn inbox(&self) -> Result<InboxView, NodeError> {
        let Some(inbox) = self.inner.inbox.current() else {
            return Ok(InboxView { folder: None, items: Vec::new() });
        };
        let root = inbox.root().to_owned();
        let folder = Some(text(&root));
        let listed = tokio::task::spawn_blocking(move || newest(&root)).await;
        Ok(InboxView { folder, items: listed.map_err(|_| NodeError::Interrupted)? })
    }
}

/// The newest files in `INBOX/SENDER/…`. What cannot be read is left out. Blocks.
fn newest(root: &Path) -> Vec<ReceivedView> {
    let mut newest = BinaryHeap::new();
    let mut seen = 0;
    for (sender, user) in entries(root) {
        if user.parse::<Username>().is_err() {
            continue;
        }
        let mut folders = vec![(sender, 0)];
        while let Some((folder, depth)) = folders.pop() {
            for (path, _) in entries(&folder) {
                seen += 1;
                if seen > MAX_SEEN {
                    break;
                }
                let Ok(metadata) = path.symlink_metadata() else { continue };
                if metadata.is_dir() && depth < MAX_DEPTH {
                    folders.push((path, depth + 1));
                } else if metadata.is_file() && !is_unfinished(&path) {
                    let name = path.strip_prefix(root.join(&user)).unwrap_or(&path);
                    newest.push(Reverse(ReceivedView {
                        received_at: metadata.modified().map_or(Timestamp::EPOCH, Timestamp::from),
                        user: user.clone(),
                        name: text(name),
                        path: text(&path),
                        size: metadata.len(),
                    }));
                    if newest.len() > MAX_LISTED {
                        newest.pop();
                    }
                }
            }
        }
    }
    newest.into_sorted_vec().into_iter().map(|Reverse(one)| one).collect()
}

/// The entries of a folder and their names.
fn entries(folder: &Path) -> impl Iterator<Item = (PathBuf, String)> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| (entry.path(), entry.file_name().to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_refused_by_its_length_alone() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = LiveInbox::new(changes::Sender::default());
        let refused = |length| inbox.check_length(length).map_err(|error| error.to_string());
        assert!(refused(0).unwrap_err().contains("without an inbox"));
        inbox.set(Some(folder.path())).unwrap();
        let most = InboxOptions::default().max_bytes;
        assert_eq!(refused(most), Ok(()));
        assert!(refused(most + 1).unwrap_err().contains("takes at most"));
        inbox.set(None).unwrap();
        assert!(refused(0).unwrap_err().contains("without an inbox"));
    }
}
