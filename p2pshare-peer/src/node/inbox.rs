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

/// Where pushes go.
#[derive(Clone)]
pub(super) enum Place {
    /// Nowhere: they are refused.
    Closed,
    /// Into this inbox.
    Open(Inbox),
    /// Into a folder that is not there at the moment. With each push it is looked whether it is back.
    Away { folder: PathBuf, why: String },
}

/// An inbox that can be opened, closed and moved while the peer serves.
pub(super) struct LiveInbox {
    current: Mutex<Place>,
    /// One at a time looks whether a folder is back: two inboxes in it would not know of each other.
    looking: tokio::sync::Mutex<()>,
    changes: changes::Sender,
    /// Who is told of what comes, once the node runs.
    events: Arc<Mutex<Option<DaemonEvents>>>,
    refused_at: Mutex<Option<Instant>>,
}

impl LiveInbox {
    pub(super) fn new(changes: changes::Sender) -> Self {
        Self {
            current: Mutex::new(Place::Closed),
            looking: tokio::sync::Mutex::default(),
            changes,
            events: Arc::default(),
            refused_at: Mutex::default(),
        }
    }

    /// From now on these are told of what comes, and at once if nothing can come.
    pub(super) fn tell(&self, events: DaemonEvents) {
        if let Place::Away { why, .. } = self.place() {
            let trouble =
                format!("nothing that others push is taken until the inbox is there: {why}");
            self.changes.warn(visible(&trouble).to_string());
            events(DaemonEvent::Trouble(trouble));
        }
        *lock(&self.events) = Some(events);
    }

    /// An inbox in this folder; `None`: pushes are refused. Blocks.
    pub(super) fn open(&self, folder: Option<&Path>) -> Result<Place, InboxError> {
        match folder {
            Some(folder) => Inbox::open(folder, self.options()).map(Place::Open),
            None => Ok(Place::Closed),
        }
    }

    /// The same for a folder that was an inbox before, whose disk may be away. Blocks.
    pub(super) fn reopen(&self, folder: Option<&Path>) -> Place {
        let Some(folder) = folder else {
            return Place::Closed;
        };
        match Inbox::reopen(folder, self.options()) {
            Ok(inbox) => Place::Open(inbox),
            Err(error) => {
                tracing::warn!(%error, "the inbox is not there");
                Place::Away { folder: folder.to_owned(), why: error.to_string() }
            }
        }
    }

    /// From now on pushes go there. Those that run end where they are.
    pub(super) fn set(&self, place: Place) {
        *lock(&self.current) = place;
    }

    fn options(&self) -> InboxOptions {
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
        InboxOptions { on_received: Some(Arc::new(on_received)), ..InboxOptions::default() }
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

    fn place(&self) -> Place {
        lock(&self.current).clone()
    }

    /// Where pushes go, after a look whether a folder that was away is back.
    async fn look(&self) -> Place {
        if !matches!(self.place(), Place::Away { .. }) {
            return self.place();
        }
        let _one = self.looking.lock().await;
        let place = self.place();
        let Place::Away { folder, .. } = &place else {
            return place;
        };
        let (path, options) = (folder.clone(), self.options());
        let opened = tokio::task::spawn_blocking(move || Inbox::reopen(&path, options)).await;
        let Ok(Ok(inbox)) = opened else {
            return place;
        };
        let mut current = lock(&self.current);
        // It may be another by now, or none.
        if matches!(&*current, Place::Away { folder: still, .. } if still == folder) {
            *current = Place::Open(inbox);
            self.changes.tell(Topic::Inbox);
        }
        current.clone()
    }

    fn folder(&self) -> Option<PathBuf> {
        match self.place() {
            Place::Closed => None,
            Place::Open(inbox) => Some(inbox.root().to_owned()),
            Place::Away { folder, .. } => Some(folder),
        }
    }
}

#[async_trait]
impl PushReceiver for LiveInbox {
    fn check_length(&self, length: u64) -> Result<(), TransferError> {
        match self.place() {
            Place::Closed => Err(closed()),
            Place::Open(inbox) => inbox.check_length(length),
            // Whether it is back is looked at with the offer.
            Place::Away { .. } => Ok(()),
        }
    }

    async fn accept(&self, offer: &PushOffer) -> Result<PushTarget, TransferError> {
        let accepted = match self.look().await {
            Place::Closed => return Err(closed()),
            Place::Open(inbox) => inbox.accept(offer).await,
            Place::Away { .. } => Err(TransferError::Unavailable(
                "its inbox is not there at the moment, try again later".to_owned(),
            )),
        };
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
        let Some(root) = self.inner.inbox.folder() else {
            return Ok(InboxView { folder: None, items: Vec::new() });
        };
        let folder = Some(text(&root));
        let listed = tokio::task::spawn_blocking(move || newest(&root)).await;
        Ok(InboxView { folder, items: listed.map_err(|_| NodeError::Interrupted)? })
    }

    /// That others find what is pushed, if the inbox lies in what is shared.
    pub(super) async fn open_inbox(&self) -> Option<String> {
        let folder = self.inner.inbox.folder()?;
        let folder = tokio::fs::canonicalize(&folder).await.unwrap_or(folder);
        let shares = self.inner.catalog.shares().await.ok()?;
        // That of them which is nearest says for whom.
        let around = shares.into_iter().filter(|share| folder.starts_with(&share.root));
        let around = around.max_by_key(|share| share.root.components().count())?;
        let (folder, root) = (text(&folder), text(&around.root));
        Some(format!(
            "what others push is shared in turn ({}), since the inbox {folder} lies in {root}, which is shared: choose an \
             inbox elsewhere if that is not meant",
            around.visibility
        ))
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
    use p2pshare_core::content::hash_bytes;

    use super::*;

    fn inbox() -> LiveInbox {
        LiveInbox::new(changes::Sender::default())
    }

    fn offer() -> PushOffer {
        PushOffer {
            from: "alice".parse().unwrap(),
            name: "empty".parse().unwrap(),
            manifest: hash_bytes(b""),
        }
    }

    #[test]
    fn what_is_not_taken_is_refused_by_its_length_alone() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = inbox();
        let refused = |length| inbox.check_length(length).map_err(|error| error.to_string());
        assert!(refused(0).unwrap_err().contains("without an inbox"));
        inbox.set(inbox.open(Some(folder.path())).unwrap());
        let most = InboxOptions::default().max_bytes;
        assert_eq!(refused(most), Ok(()));
        assert!(refused(most + 1).unwrap_err().contains("takes at most"));
        inbox.set(Place::Closed);
        assert!(refused(0).unwrap_err().contains("without an inbox"));
    }

    #[tokio::test]
    async fn an_inbox_whose_disk_was_away_is_opened_once_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        let path = disk.join("inbox");
        let inbox = inbox();
        inbox.set(inbox.reopen(Some(&path)));
        let told = Arc::new(Mutex::new(Vec::new()));
        let events = told.clone();
        inbox.tell(Arc::new(move |event: DaemonEvent| lock(&events).push(event)));
        assert!(matches!(lock(&told).as_slice(), [DaemonEvent::Trouble(_)]));

        let refused = inbox.accept(&offer()).await.map(|target| target.name);
        assert!(matches!(refused, Err(TransferError::Unavailable(_))), "{refused:?}");
        assert!(!disk.exists(), "it is not made on another disk");
        assert_eq!(inbox.folder(), Some(path.clone()));

        fs::create_dir(&disk).unwrap();
        let target = inbox.accept(&offer()).await.unwrap();
        target.sink.finish().await.unwrap();
        assert!(path.join("alice/empty").exists());
    }
}
