//! Telling those who look on that something is other than it was.

use serde::Serialize;
use tokio::sync::{broadcast, watch};

/// Something that can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The account, whether the peer is online, the settings that are part of it.
    State,
    /// The shares and their scans.
    Shares,
    /// Pushes to others.
    Pushes,
    /// What others have pushed.
    Inbox,
}

impl Topic {
    /// All.
    pub const ALL: [Self; 4] = [Self::State, Self::Shares, Self::Pushes, Self::Inbox];
}

/// Something worth saying to whoever looks on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// `info` or `warning`.
    pub level: &'static str,
    /// A sentence. What others chose is made visible in it.
    pub text: String,
}

/// Notices that a slow listener may be behind.
const NOTICES: usize = 64;

type Counts = [u64; Topic::ALL.len()];

#[derive(Clone, Debug)]
pub(super) struct Sender {
    counts: watch::Sender<Counts>,
    notices: broadcast::Sender<Notice>,
}

impl Default for Sender {
    fn default() -> Self {
        Self { counts: watch::Sender::default(), notices: broadcast::Sender::new(NOTICES) }
    }
}

impl Sender {
    /// It is other than it was.
    pub(super) fn tell(&self, topic: Topic) {
        self.counts.send_modify(|counts| counts[topic as usize] += 1);
    }

    pub(super) fn warn(&self, text: impl Into<String>) {
        // Nobody listens: nobody is told.
        let _ = self.notices.send(Notice { level: "warning", text: text.into() });
    }

    pub(super) fn inform(&self, text: impl Into<String>) {
        let _ = self.notices.send(Notice { level: "info", text: text.into() });
    }

    pub(super) fn subscribe(&self) -> Changes {
        let counts = self.counts.subscribe();
        let seen = *counts.borrow();
        Changes { counts, seen, notices: self.notices.subscribe() }
    }
}

/// What has changed since it was asked last.
#[derive(Debug)]
pub struct Changes {
    counts: watch::Receiver<Counts>,
    seen: Counts,
    notices: broadcast::Receiver<Notice>,
}

impl Changes {
    /// Waits until something has changed or was said. `false` once the node is gone.
    ///
    /// Cancellation: nothing is lost.
    pub async fn wait(&mut self) -> bool {
        if !self.notices.is_empty() || *self.counts.borrow() != self.seen {
            return true;
        }
        self.counts.changed().await.is_ok()
    }

    /// The topics that have changed.
    pub fn take(&mut self) -> Vec<Topic> {
        let now = *self.counts.borrow_and_update();
        let changed = |topic: &Topic| now[*topic as usize] != self.seen[*topic as usize];
        let topics = Topic::ALL.into_iter().filter(changed).collect();
        self.seen = now;
        topics
    }

    /// What was said. A listener that is far behind loses the oldest.
    pub fn notices(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        loop {
            match self.notices.try_recv() {
                Ok(notice) => notices.push(notice),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return notices,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_are_joined_and_none_is_lost() {
        let sender = Sender::default();
        let mut changes = sender.subscribe();
        assert!(changes.take().is_empty());
        sender.tell(Topic::Shares);
        sender.tell(Topic::Shares);
        sender.tell(Topic::State);
        assert!(changes.wait().await);
        assert_eq!(changes.take(), [Topic::State, Topic::Shares]);
        assert!(changes.take().is_empty());
        for number in 0..100 {
            sender.inform(number.to_string());
        }
        let notices = changes.notices();
        assert_eq!(notices.len(), NOTICES);
        assert_eq!(notices.last().unwrap().text, "99");
        drop(sender);
        assert!(!changes.wait().await);
    }
}
