//! Pushing files to others in the background.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use p2pshare_core::{content::ContentId, identity::Username, path::SharePath, text::visible};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Node, NodeError, Topic, absolute, lock, text};
use crate::{
    net::PushProgress,
    push::{Pace, pack, push},
};

/// Pushes that are remembered.
const MAX_LISTED: usize = 200;

/// Pushes at a time; others wait.
const AT_ONCE: usize = 4;

/// Number of a push, since the node began to run.
pub type PushId = u64;

/// How far a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PushState {
    /// It goes on.
    Running,
    /// The other peer has it.
    Done,
    /// It could not be sent.
    Failed,
}

/// A push to another user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushView {
    /// Its number.
    pub id: PushId,
    /// The file.
    pub path: String,
    /// To whom.
    pub user: Username,
    /// How far it is.
    pub state: PushState,
    /// How many bytes the file has.
    pub bytes: u64,
    /// How many of them the other peer has.
    pub bytes_done: u64,
    /// Why it failed, or what it waits for.
    pub error: Option<String>,
}

/// The pushes since the node began to run.
pub(super) struct Pushes {
    list: Mutex<VecDeque<Arc<Push>>>,
    next: AtomicU64,
    slots: Arc<Semaphore>,
}

impl Default for Pushes {
    fn default() -> Self {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Self { list: Mutex::default(), next: AtomicU64::new(1), slots }
    }
}

struct Push {
    view: Mutex<PushView>,
    stop: CancellationToken,
    /// What is sent, under which name, once that is known.
    parcel: Mutex<Option<(ContentId, SharePath)>>,
}

impl Push {
    fn change(&self, node: &Node, change: impl FnOnce(&mut PushView)) {
        change(&mut lock(&self.view));
        node.inner.changes.tell(Topic::Pushes);
    }
}

impl Node {
    /// Pushes, the newest first.
    pub fn pushes(&self) -> Vec<PushView> {
        let list = lock(&self.inner.pushes.list);
        list.iter().rev().map(|push| lock(&push.view).clone()).collect()
    }

    /// The name under which a content is pushed, or was.
    pub(super) fn pushed_as(&self, content: ContentId) -> Option<SharePath> {
        let list = lock(&self.inner.pushes.list);
        let named = |push: &Arc<Push>| lock(&push.parcel).clone();
        list.iter().rev().filter_map(named).find(|(id, _)| *id == content).map(|(_, name)| name)
    }

    /// Begins to push a file to another user.
    ///
    /// # Errors
    ///
    /// [`NodeError::Conflict`] when too many pushes run already.
    pub async fn push(&self, path: &str, user: Username) -> Result<PushId, NodeError> {
        self.link()?;
        let path = absolute(path)?;
        let metadata = tokio::fs::metadata(&path).await.map_err(NodeError::io("reading", &path))?;
        if !metadata.is_file() {
            return Err(NodeError::Invalid(format!("{} is no file", visible(&text(&path)))));
        }
        let id = self.inner.pushes.next.fetch_add(1, Relaxed);
        let view = PushView {
            id,
            path: text(&path),
            user: user.clone(),
            state: PushState::Running,
            bytes: metadata.len(),
            bytes_done: 0,
            error: None,
        };
        let one = Arc::new(Push {
            view: Mutex::new(view),
            stop: CancellationToken::new(),
            parcel: Mutex::default(),
        });
        self.list_push(one.clone())?;
        let node = self.clone();
        self.spawn(async move {
            let sent = one.stop.run_until_cancelled(node.send(&one, &path, &user)).await;
            let done = sent.unwrap_or_else(|| Err("it was cancelled".to_owned()));
            one.change(&node, |view| match &done {
                Ok(()) => {
                    view.state = PushState::Done;
                    view.bytes_done = view.bytes;
                    view.error = None;
                }
                Err(why) => {
                    view.state = PushState::Failed;
                    view.error = Some(why.clone());
                }
            });
        });
        Ok(id)
    }

    /// Stops a push that runs; what the other peer has of it stays there for the next. One that does not is forgotten.
    ///
    /// # Errors
    ///
    /// [`NodeError::NotFound`] when there is none of this number.
    pub fn end_push(&self, id: PushId) -> Result<(), NodeError> {
        let mut list = lock(&self.inner.pushes.list);
        let place = list.iter().position(|push| lock(&push.view).id == id);
        let push = place.and_then(|place| list.get(place).map(|push| (place, push.clone())));
        let Some((place, push)) = push else {
            return Err(NodeError::NotFound(format!("there is no push {id}")));
        };
        if lock(&push.view).state == PushState::Running {
            push.stop.cancel();
            return Ok(());
        }
        list.remove(place);
        drop(list);
        self.inner.changes.tell(Topic::Pushes);
        Ok(())
    }

    fn list_push(&self, push: Arc<Push>) -> Result<(), NodeError> {
        let mut list = lock(&self.inner.pushes.list);
        if list.len() >= MAX_LISTED {
            let settled = list.iter().position(|push| lock(&push.view).state != PushState::Running);
            let Some(oldest) = settled else {
                return Err(NodeError::Conflict(format!("{MAX_LISTED} pushes run: let some end")));
            };
            list.remove(oldest);
        }
        list.push_back(push);
        drop(list);
        self.inner.changes.tell(Topic::Pushes);
        Ok(())
    }

    async fn send(
        &self,
        one: &Arc<Push>,
        path: &std::path::Path,
        user: &Username,
    ) -> Result<(), String> {
        let Ok(_slot) = self.inner.pushes.slots.acquire().await else {
            return Err(NodeError::Interrupted.to_string());
        };
        // Whoever is logged in now: a push of somebody who has logged out is not theirs.
        let link = self.link().map_err(|error| error.to_string())?;
        let parcel = pack(path, |_| ()).await.map_err(|error| error.to_string())?;
        let total = parcel.manifest.len();
        one.change(self, |view| view.bytes = total);
        *lock(&one.parcel) = Some((parcel.manifest.id(), parcel.name.clone()));
        let progress = |progress: PushProgress| {
            one.change(self, |view| match progress {
                PushProgress::Queued { position } => {
                    view.error = Some(format!("waiting: {position} before it"));
                }
                // What is not wanted is there already.
                PushProgress::Wanted { bytes } => {
                    view.error = None;
                    view.bytes_done = total.saturating_sub(bytes);
                }
                PushProgress::Sent { bytes } => {
                    view.bytes_done = view.bytes_done.saturating_add(bytes).min(total);
                }
            });
        };
        let pace = Pace {
            limit: self.inner.upload_limit.clone(),
            uploads: Some(self.inner.uploads.clone()),
        };
        let sent = push(&link.me, &link.pool, &parcel, user, &pace, &progress).await;
        sent.map(drop).map_err(|error| error.to_string())
    }
}
