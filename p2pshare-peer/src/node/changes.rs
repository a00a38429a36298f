//! Telling those who look on that something is other than it was.

use std::collections::VecDeque;

use serde::Serialize;
use tokio::sync::watch;

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

/// Notices that are kept for listeners that are slow, or come back.
const NOTICES: usize = 64;

type Counts = [u64; Topic::ALL.len()];

/// What was told so far.
#[derive(Debug, Default)]
struct Told {
    counts: Counts,
    /// The last notices, the oldest first.
    notices: VecDeque<Notice>,
    /// How many came before those that are kept.
    dropped: u64,
}

impl Told {
    /// How many notices there were so far.
    fn said(&self) -> u64 {
        self.dropped + self.notices.len() as u64
    }

    fn say(&mut self, notice: Notice) {
        if self.notices.len() >= NOTICES {
            self.notices.pop_front();
            self.dropped += 1;
        }
        self.notices.push_back(notice);
    }
}

#[derive(Clone, Debug)]
pub(super) struct Sender {
    told: watch::Sender<Told>,
    /// Which run of the node this is: the next one counts anew.
    run: u64,
}

impl Default for Sender {
    fn default() -> Self {
        Self { told: watch::Sender::default(), run: rand::random() }
    }
}

impl Sender {
    /// It is other than it was.
    pub(super) fn tell(&self, topic: Topic) {
        self.told.send_modify(|told| told.counts[topic as usize] += 1);
    }

    pub(super) fn warn(&self, text: impl Into<String>) {
        self.say(Notice { level: "warning", text: text.into() });
    }

    pub(super) fn inform(&self, text: impl Into<String>) {
        self.say(Notice { level: "info", text: text.into() });
    }

    fn say(&self, notice: Notice) {
        self.told.send_modify(|told| told.say(notice));
    }

    pub(super) fn subscribe(&self) -> Changes {
        let mut told = self.told.subscribe();
        let now = told.borrow_and_update();
        let (seen, heard) = (now.counts, now.said());
        drop(now);
        Changes { told, run: self.run, seen, heard }
    }
}

/// What has changed since it was asked last.
#[derive(Debug)]
pub struct Changes {
    told: watch::Receiver<Told>,
    run: u64,
    seen: Counts,
    /// How many notices there were before the next one.
    heard: u64,
}

impl Changes {
    /// Waits until something has changed or was said. `false` once the node is gone.
    ///
    /// Cancellation: nothing is lost.
    pub async fn wait(&mut self) -> bool {
        if self.is_behind() {
            return true;
        }
        self.told.changed().await.is_ok()
    }

    fn is_behind(&self) -> bool {
        let told = self.told.borrow();
        told.counts != self.seen || told.said() != self.heard
    }

    /// The topics that have changed.
    pub fn take(&mut self) -> Vec<Topic> {
        let now = self.told.borrow_and_update().counts;
        let changed = |topic: &Topic| now[*topic as usize] != self.seen[*topic as usize];
        let topics = Topic::ALL.into_iter().filter(changed).collect();
        self.seen = now;
        topics
    }

    /// The next of what was said. A listener that is far behind loses the oldest.
    pub fn notice(&mut self) -> Option<Notice> {
        let told = self.told.borrow_and_update();
        let skipped = self.heard.saturating_sub(told.dropped);
        let notice = usize::try_from(skipped).ok().and_then(|at| told.notices.get(at)).cloned()?;
        self.heard = self.heard.max(told.dropped) + 1;
        Some(notice)
    }

    /// How far what was said has been heard, as one word.
    pub fn place(&self) -> String {
        format!("{:016x}-{}", self.run, self.heard)
    }

    /// Goes back to a place of before, to hear what was said since. After a place of another run of the node everything
    /// that this one has said is new.
    pub fn go_back(&mut self, place: &str) {
        let said = self.told.borrow().said();
        let heard = place
            .split_once('-')
            .filter(|(run, _)| u64::from_str_radix(run, 16) == Ok(self.run))
            .and_then(|(_, heard)| heard.parse::<u64>().ok())
            .filter(|heard| *heard <= said);
        self.heard = heard.unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(changes: &mut Changes) -> Vec<String> {
        std::iter::from_fn(|| changes.notice()).map(|notice| notice.text).collect()
    }

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
        let notices = rest(&mut changes);
        assert_eq!(notices.len(), NOTICES);
        assert_eq!(notices.last().unwrap(), "99");
        drop(sender);
        assert!(!changes.wait().await);
    }

    #[tokio::test]
    async fn whoever_comes_back_hears_what_was_said_meanwhile() {
        let sender = Sender::default();
        sender.inform("before");
        let mut changes = sender.subscribe();
        assert_eq!(changes.notice(), None, "who begins is not told what is over");
        sender.inform("one");
        assert!(changes.wait().await, "a notice alone wakes a listener");
        assert_eq!(rest(&mut changes), ["one"]);
        let place = changes.place();
        drop(changes);
        sender.warn("two");
        sender.warn("three");

        let mut again = sender.subscribe();
        again.go_back(&place);
        assert!(again.wait().await);
        assert_eq!(again.notice().unwrap().text, "two");
        let place = again.place();
        again.go_back(&place);
        assert_eq!(rest(&mut again), ["three"]);
        for place in [Sender::default().subscribe().place().as_str(), "", "x-1", "-", "1"] {
            again.go_back(place);
            assert_eq!(rest(&mut again), ["before", "one", "two", "three"], "{place}");
        }
        again.go_back(&again.place().replace("-4", "-5"));
        assert_eq!(rest(&mut again).len(), 4, "nobody has heard what was not said");
    }
}
