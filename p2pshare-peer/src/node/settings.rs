//! Settings: what was given for this run, before what is kept in the data directory, before defaults.

mod change;

use std::{
    fs,
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Mutex,
};

use p2pshare_core::text::visible;
use serde::Serialize;

pub use change::SettingsChange;

use super::{Node, NodeError, Topic, absolute, lock, text};
use crate::data_dir::{DataDir, DataDirError};

const SETTINGS_FILE: &str = "settings.json";

/// Most uploads at a time.
const MAX_SLOTS: u16 = 1024;

/// Most downloads at a time.
const MAX_AT_ONCE: u16 = 64;

/// A limit below it would stop everything.
const SMALLEST_RATE: u64 = 1024;

/// How the node works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where downloads go unless told otherwise.
    pub download_folder: PathBuf,
    /// Where files are kept that were dropped on the page to be shared.
    pub drop_folder: PathBuf,
    /// Most bytes a second to receive.
    pub download_limit: Option<u64>,
    /// Most bytes a second to send.
    pub upload_limit: Option<u64>,
    /// Uploads at a time.
    pub upload_slots: u16,
    /// Downloads at a time.
    pub downloads_at_once: u16,
    /// Where pushes of others go; `None`: they are refused.
    pub inbox: Option<PathBuf>,
    /// Whether peers in the same network are looked for.
    pub lan: bool,
}

/// The settings as they are, and which of them cannot be changed now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingsView {
    download_folder: String,
    drop_folder: String,
    download_limit: Option<u64>,
    upload_limit: Option<u64>,
    upload_slots: u16,
    downloads_at_once: u16,
    inbox: Option<String>,
    lan: bool,
    /// Names of those that were given for this run.
    fixed: Vec<&'static str>,
}

impl Settings {
    fn defaults(dir: &DataDir) -> Self {
        let user = directories::UserDirs::new();
        let downloads = user.as_ref().map(|user| {
            user.download_dir().map_or_else(|| user.home_dir().join("Downloads"), Path::to_owned)
        });
        let download_folder = downloads.unwrap_or_else(|| dir.path().join("downloads"));
        Self {
            drop_folder: download_folder.join("Shared"),
            download_folder,
            download_limit: None,
            upload_limit: None,
            upload_slots: 8,
            downloads_at_once: 3,
            inbox: None,
            lan: true,
        }
    }

    /// These with a change.
    fn with(mut self, change: &SettingsChange) -> Result<Self, NodeError> {
        if let Some(folder) = &change.download_folder {
            self.download_folder = absolute(folder)?;
            if change.drop_folder.is_none() {
                self.drop_folder = self.download_folder.join("Shared");
            }
        }
        if let Some(folder) = &change.drop_folder {
            self.drop_folder = absolute(folder)?;
        }
        self.download_limit = rate("download_limit", change.download_limit, self.download_limit)?;
        self.upload_limit = rate("upload_limit", change.upload_limit, self.upload_limit)?;
        if let Some(slots) = change.upload_slots {
            self.upload_slots = within("upload_slots", slots, MAX_SLOTS)?;
        }
        if let Some(at_once) = change.downloads_at_once {
            self.downloads_at_once = within("downloads_at_once", at_once, MAX_AT_ONCE)?;
        }
        if let Some(inbox) = &change.inbox {
            self.inbox = inbox.as_deref().map(absolute).transpose()?;
        }
        self.lan = change.lan.unwrap_or(self.lan);
        Ok(self)
    }

    /// Uploads at a time.
    pub(super) fn slots(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.upload_slots.into()).unwrap_or(NonZeroUsize::MIN)
    }

    /// Downloads at a time.
    pub(super) fn at_once(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.downloads_at_once.into()).unwrap_or(NonZeroUsize::MIN)
    }

    pub(super) fn upload_rate(&self) -> Option<NonZeroU64> {
        self.upload_limit.and_then(NonZeroU64::new)
    }

    pub(super) fn download_rate(&self) -> Option<NonZeroU64> {
        self.download_limit.and_then(NonZeroU64::new)
    }
}

fn rate(
    name: &str,
    change: Option<Option<u64>>,
    before: Option<u64>,
) -> Result<Option<u64>, NodeError> {
    match change {
        None => Ok(before),
        Some(Some(rate)) if rate < SMALLEST_RATE => Err(NodeError::Invalid(format!(
            "{name} must be at least {SMALLEST_RATE} bytes a second, or null for no limit"
        ))),
        Some(rate) => Ok(rate),
    }
}

fn within(name: &str, number: u16, most: u16) -> Result<u16, NodeError> {
    match (1..=most).contains(&number) {
        true => Ok(number),
        false => Err(NodeError::Invalid(format!("{name} must be from 1 to {most}"))),
    }
}

/// Where the settings are kept.
#[derive(Debug)]
pub(super) struct Store {
    dir: DataDir,
    given: SettingsChange,
    state: Mutex<(SettingsChange, Settings)>,
    /// One change at a time, from when it is checked until it holds: it would be lost in one that was checked before.
    changing: Mutex<()>,
}

impl Store {
    /// Reads what is kept. Blocks.
    pub(super) fn open(dir: &DataDir, given: SettingsChange) -> Result<Self, NodeError> {
        let kept: SettingsChange = match dir.read_secret(SETTINGS_FILE)? {
            None => SettingsChange::default(),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| DataDirError::Io {
                what: "reading",
                path: dir.path().join(SETTINGS_FILE),
                error: error.into(),
            })?,
        };
        let now = effective(dir, &kept, &given)?;
        let state = Mutex::new((kept, now));
        Ok(Self { dir: dir.clone(), given, state, changing: Mutex::default() })
    }

    pub(super) fn current(&self) -> Settings {
        lock(&self.state).1.clone()
    }

    fn view(&self) -> SettingsView {
        let now = self.current();
        SettingsView {
            download_folder: text(&now.download_folder),
            drop_folder: text(&now.drop_folder),
            download_limit: now.download_limit,
            upload_limit: now.upload_limit,
            upload_slots: now.upload_slots,
            downloads_at_once: now.downloads_at_once,
            inbox: now.inbox.as_deref().map(text),
            lan: now.lan,
            fixed: self.given.names(),
        }
    }

    /// What the settings would be, or why they cannot be.
    fn check(&self, change: SettingsChange) -> Result<(SettingsChange, Settings), NodeError> {
        let change = change.without_same(&self.view());
        let fixed = self.given.names();
        if let Some(name) = change.names().into_iter().find(|name| fixed.contains(name)) {
            return Err(NodeError::Conflict(format!(
                "{name} was given when the peer was started: it can be changed only there"
            )));
        }
        let kept = lock(&self.state).0.clone().and(change);
        let now = effective(&self.dir, &kept, &self.given)?;
        Ok((kept, now))
    }

    /// Keeps settings. Blocks.
    fn keep(&self, kept: SettingsChange, now: Settings) -> Result<(), NodeError> {
        let bytes = serde_json::to_vec_pretty(&kept).map_err(|error| DataDirError::Io {
            what: "writing",
            path: self.dir.path().join(SETTINGS_FILE),
            error: error.into(),
        })?;
        self.dir.write_secret(SETTINGS_FILE, &bytes)?;
        *lock(&self.state) = (kept, now);
        Ok(())
    }
}

fn effective(
    dir: &DataDir,
    kept: &SettingsChange,
    given: &SettingsChange,
) -> Result<Settings, NodeError> {
    Settings::defaults(dir).with(&kept.clone().and(given.clone()))
}

/// Makes a folder, if it is not there, and finds out whether files can be put into it. Blocks.
fn make(folder: &Path) -> Result<(), NodeError> {
    let made = fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    made.map(drop).map_err(|error| {
        let folder = text(folder);
        NodeError::Invalid(format!("files cannot be kept in {}: {error}", visible(&folder)))
    })
}

impl Node {
    /// The settings as they are.
    pub fn settings(&self) -> SettingsView {
        self.inner.settings.view()
    }

    /// Changes settings, at once and for later runs: all that are named, or none.
    pub async fn change_settings(&self, change: SettingsChange) -> Result<SettingsView, NodeError> {
        let node = self.clone();
        let changed = tokio::task::spawn_blocking(move || {
            let inner = &node.inner;
            let _one = lock(&inner.settings.changing);
            let before = inner.settings.current();
            let named_drop = change.drop_folder.is_some();
            let (kept, now) = inner.settings.check(change)?;
            if now.download_folder != before.download_folder {
                make(&now.download_folder)?;
            }
            if named_drop && now.drop_folder != before.drop_folder {
                make(&now.drop_folder)?;
            }
            let inbox = match now.inbox != before.inbox {
                true => Some(inner.inbox.open(now.inbox.as_deref())?),
                false => None,
            };
            inner.settings.keep(kept, now.clone())?;
            inner.slots.resize(now.slots());
            inner.upload_limit.set(now.upload_rate());
            if now.lan != before.lan {
                node.turn_lan();
            }
            inner.downloads.set_limits(now.download_rate(), now.at_once());
            inner.changes.tell(Topic::State);
            if let Some(inbox) = inbox {
                inner.inbox.set(inbox);
                inner.changes.tell(Topic::Inbox);
            }
            Ok(node.settings())
        });
        changed.await.unwrap_or(Err(NodeError::Interrupted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> SettingsChange {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_given_comes_first_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let store = Store::open(&dir, change(r#"{"upload_limit": 5000}"#)).unwrap();
        assert_eq!(store.view().fixed, ["upload_limit"]);
        let (kept, now) = store.check(change(r#"{"upload_limit": 5000, "lan": false}"#)).unwrap();
        store.keep(kept, now).unwrap();
        for refused in [r#"{"upload_limit": 6000}"#, r#"{"upload_limit": null}"#] {
            assert!(matches!(store.check(change(refused)), Err(NodeError::Conflict(_))));
        }
        let again = Store::open(&dir, SettingsChange::default()).unwrap();
        assert_eq!((again.current().lan, again.current().upload_limit), (false, None));
    }

    #[test]
    fn no_limit_is_told_from_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let store = Store::open(&dir, SettingsChange::default()).unwrap();
        let set = |json: &str| {
            let (kept, now) = store.check(change(json)).unwrap();
            store.keep(kept, now).unwrap();
            store.current()
        };
        assert_eq!(set(r#"{"download_limit": 2048, "inbox": "/in"}"#).download_limit, Some(2048));
        assert_eq!(set(r#"{"upload_slots": 3}"#).download_limit, Some(2048));
        let now = set(r#"{"download_limit": null, "inbox": null}"#);
        assert_eq!((now.download_limit, now.inbox), (None, None));
    }

    #[test]
    fn a_folder_is_one_that_files_can_be_kept_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"x").unwrap();
        for refused in [file.clone(), file.join("below"), "/proc/p2pshare".into()] {
            assert!(matches!(make(&refused), Err(NodeError::Invalid(_))), "{refused:?}");
        }
        let new = folder.path().join("new/one");
        make(&new).unwrap();
        assert_eq!(fs::read_dir(new).unwrap().count(), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let store = Store::open(&dir, SettingsChange::default()).unwrap();
        for refused in [
            r#"{"upload_slots": 0}"#,
            r#"{"upload_slots": 2000}"#,
            r#"{"downloads_at_once": 65}"#,
            r#"{"upload_limit": 3}"#,
            r#"{"download_folder": "relative/folder"}"#,
            r#"{"download_folder": "/a\u0000b"}"#,
        ] {
            assert!(
                matches!(store.check(change(refused)), Err(NodeError::Invalid(_))),
                "{refused}"
            );
        }
        assert!(serde_json::from_str::<SettingsChange>(r#"{"unknown": 1}"#).is_err());
    }
}
