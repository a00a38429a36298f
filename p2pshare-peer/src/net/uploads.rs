//! Who takes what of this peer at the moment.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use p2pshare_core::{
    content::ContentId,
    identity::{PeerId, Username},
    time::{Clock, SystemClock, Timestamp},
};
use tokio::time::Instant;

/// Uploads that are told apart. More are served all the same, without being listed.
const MAX_LISTED: usize = 8192;

/// A downloader asks for a second's worth at a time: an upload that pauses for so long is still the same.
const LINGER: Duration = Duration::from_secs(3);

/// The rate is that of so many steps of this length.
const STEP: Duration = Duration::from_millis(250);
const STEPS: usize = 12;

/// The uploads of a server. A clone is the same list.
#[derive(Clone, Default)]
pub struct Uploads {
    running: Arc<Mutex<Running>>,
}

/// An upload, as it is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Who downloads.
    pub user: Username,
    /// With which peer, if it proved its key.
    pub peer: Option<PeerId>,
    /// What.
    pub content: ContentId,
    /// Whether it is pushed, which takes no slot of this peer.
    pub pushed: bool,
    /// Bytes sent since it began.
    pub bytes: u64,
    /// Bytes a second, over the last seconds.
    pub rate: u64,
    /// When it began.
    pub since: Timestamp,
    /// Its place in the queue, if it waits for a slot.
    pub position: Option<u32>,
}

#[derive(Default)]
struct Running {
    entries: HashMap<Key, Entry>,
    next_call: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) user: Username,
    pub(crate) peer: Option<PeerId>,
    pub(crate) content: ContentId,
    pub(crate) pushed: bool,
}

struct Entry {
    since: Timestamp,
    bytes: u64,
    meter: Meter,
    /// The calls that are open, with their places in the queue.
    calls: BTreeMap<u64, Option<u32>>,
    last: Instant,
}

/// A call that is listed until this is dropped.
pub(crate) struct UploadCall {
    uploads: Uploads,
    key: Key,
    call: u64,
}

impl Uploads {
    /// The uploads that run or wait, the oldest first.
    pub fn list(&self) -> Vec<Upload> {
        let now = Instant::now();
        let mut running = self.running();
        running.sweep(now);
        let mut list: Vec<_> = running
            .entries
            .iter_mut()
            .map(|(key, entry)| Upload {
                user: key.user.clone(),
                peer: key.peer,
                content: key.content,
                pushed: key.pushed,
                bytes: entry.bytes,
                rate: entry.meter.rate(now),
                since: entry.since,
                position: entry.position(),
            })
            .collect();
        drop(running);
        list.sort_by(|a, b| (a.since, &a.user, a.content).cmp(&(b.since, &b.user, b.content)));
        list
    }

    /// Lists a call; `None` if too many are listed.
    pub(crate) fn begin(&self, key: Key) -> Option<UploadCall> {
        let now = Instant::now();
        let mut running = self.running();
        if running.entries.len() >= MAX_LISTED && !running.entries.contains_key(&key) {
            running.sweep(now);
            if running.entries.len() >= MAX_LISTED {
                return None;
            }
        }
        let call = running.next_call;
        running.next_call += 1;
        let entry = running.entries.entry(key.clone()).or_insert_with(|| Entry {
            since: SystemClock.now(),
            bytes: 0,
            meter: Meter::new(now),
            calls: BTreeMap::new(),
            last: now,
        });
        entry.calls.insert(call, None);
        drop(running);
        Some(UploadCall { uploads: self.clone(), key, call })
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // A panic elsewhere leaves a list of what runs: as good as before.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn sweep(&mut self, now: Instant) {
        self.entries.retain(|_, entry| !entry.calls.is_empty() || entry.last + LINGER > now);
    }
}

impl Entry {
    /// The best place, if every call of it waits.
    fn position(&self) -> Option<u32> {
        match self.calls.values().any(Option::is_none) {
            true => None,
            false => self.calls.values().flatten().min().copied(),
        }
    }
}

impl UploadCall {
    /// It waits for a slot.
    pub(crate) fn queued(&self, position: u32) {
        self.change(|entry, call| {
            entry.calls.insert(call, Some(position));
        });
    }

    /// So many bytes more are on their way.
    pub(crate) fn sent(&self, bytes: u64) {
        self.change(|entry, call| {
            let now = Instant::now();
            entry.calls.insert(call, None);
            entry.bytes = entry.bytes.saturating_add(bytes);
            entry.meter.add(bytes, now);
            entry.last = now;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Entry, u64)) {
        if let Some(entry) = self.uploads.running().entries.get_mut(&self.key) {
            change(entry, self.call);
        }
    }
}

impl Drop for UploadCall {
    fn drop(&mut self) {
        self.change(|entry, call| {
            entry.calls.remove(&call);
            entry.last = Instant::now();
        });
    }
}

impl fmt::Debug for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploads").field("listed", &self.running().entries.len()).finish()
    }
}

/// Bytes a second over the last seconds.
struct Meter {
    begun: Instant,
    /// The end of the last step.
    until: Instant,
    /// Bytes in each step, the last at the end.
    steps: VecDeque<u64>,
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self { begun: now, until: now + STEP, steps: VecDeque::from([0]) }
    }

    fn add(&mut self, bytes: u64, now: Instant) {
        self.advance(now);
        if let Some(last) = self.steps.back_mut() {
            *last = last.saturating_add(bytes);
        }
    }

    fn rate(&mut self, now: Instant) -> u64 {
        self.advance(now);
        let bytes: u64 = self.steps.iter().fold(0, |sum, step| sum.saturating_add(*step));
        let seen = now.saturating_duration_since(self.begun).min(STEP * STEPS as u32);
        (bytes as f64 / seen.max(STEP).as_secs_f64()) as u64
    }

    fn advance(&mut self, now: Instant) {
        let behind = now.saturating_duration_since(self.until).as_nanos() / STEP.as_nanos();
        if behind > STEPS as u128 {
            self.steps.clear();
            self.until = now;
        }
        while self.until <= now {
            self.steps.push_back(0);
            self.until += STEP;
            if self.steps.len() > STEPS {
                self.steps.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: &str, content: &[u8]) -> Key {
        Key {
            user: user.parse().unwrap(),
            peer: None,
            content: ContentId::of(content),
            pushed: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_one_downloader_are_one_upload() {
        let uploads = Uploads::default();
        let first = uploads.begin(key("bob", b"a")).unwrap();
        first.queued(3);
        assert_eq!(uploads.list()[0].position, Some(3));
        first.sent(1_000_000);
        let second = uploads.begin(key("bob", b"a")).unwrap();
        second.queued(1);
        let other = uploads.begin(key("bob", b"b")).unwrap();
        let list = uploads.list();
        assert_eq!(list.len(), 2);
        let one = list.iter().find(|one| one.content == ContentId::of(b"a")).unwrap();
        assert_eq!((one.bytes, one.position), (1_000_000, None), "one call of it runs");
        drop((first, second, other));
        assert_eq!(uploads.list().len(), 2, "it may go on in a moment");
        tokio::time::advance(LINGER).await;
        assert!(uploads.list().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_that_of_the_last_seconds() {
        let uploads = Uploads::default();
        let call = uploads.begin(key("bob", b"a")).unwrap();
        for _ in 0..50 {
            call.sent(100_000);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let rate = uploads.list()[0].rate;
        assert!((900_000..=1_100_000).contains(&rate), "{rate}");
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(uploads.list()[0].rate, 0);
        tokio::time::advance(Duration::from_secs(4000)).await;
        call.sent(3_000_000);
        assert_eq!(uploads.list()[0].rate, 1_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_list_is_bounded() {
        let uploads = Uploads::default();
        let mut calls: Vec<_> = (0..MAX_LISTED as u64)
            .map(|number| uploads.begin(key("bob", &number.to_le_bytes())).unwrap())
            .collect();
        assert!(uploads.begin(key("eve", b"one more")).is_none());
        calls.pop();
        tokio::time::advance(LINGER).await;
        assert!(uploads.begin(key("eve", b"one more")).is_some());
    }
}
