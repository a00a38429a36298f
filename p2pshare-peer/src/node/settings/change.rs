//! Which settings are to be others, and which are meant.

use serde::{Deserialize, Deserializer, Serialize};

use super::SettingsView;

/// Some settings; those that are absent stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// As in [`Settings`](super::Settings).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_folder: Option<String>,
    /// As in [`Settings`](super::Settings).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_folder: Option<String>,
    /// As in [`Settings`](super::Settings); `null`: no limit.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub download_limit: Option<Option<u64>>,
    /// As in [`Settings`](super::Settings); `null`: no limit.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub upload_limit: Option<Option<u64>>,
    /// As in [`Settings`](super::Settings).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_slots: Option<u16>,
    /// As in [`Settings`](super::Settings).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloads_at_once: Option<u16>,
    /// As in [`Settings`](super::Settings); `null`: pushes are refused.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub inbox: Option<Option<String>>,
    /// As in [`Settings`](super::Settings).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lan: Option<bool>,
}

/// What is absent is `None`, what is `null` is `Some(None)`.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl SettingsChange {
    /// The names of those that are there.
    pub(super) fn names(&self) -> Vec<&'static str> {
        [
            ("download_folder", self.download_folder.is_some()),
            ("drop_folder", self.drop_folder.is_some()),
            ("download_limit", self.download_limit.is_some()),
            ("upload_limit", self.upload_limit.is_some()),
            ("upload_slots", self.upload_slots.is_some()),
            ("downloads_at_once", self.downloads_at_once.is_some()),
            ("inbox", self.inbox.is_some()),
            ("lan", self.lan.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, there)| there.then_some(name))
        .collect()
    }

    /// These, and those of `other` in their place.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            download_folder: other.download_folder.or(self.download_folder),
            drop_folder: other.drop_folder.or(self.drop_folder),
            download_limit: other.download_limit.or(self.download_limit),
            upload_limit: other.upload_limit.or(self.upload_limit),
            upload_slots: other.upload_slots.or(self.upload_slots),
            downloads_at_once: other.downloads_at_once.or(self.downloads_at_once),
            inbox: other.inbox.or(self.inbox),
            lan: other.lan.or(self.lan),
        }
    }

    /// These without those that are the same in `now`: whoever sends all that were shown changes one of them.
    pub(super) fn without_same(self, now: &SettingsView) -> Self {
        let differs = |same: bool| (!same).then_some(());
        Self {
            download_folder: self.download_folder.filter(|it| *it != now.download_folder),
            drop_folder: self.drop_folder.filter(|it| *it != now.drop_folder),
            download_limit: self.download_limit.filter(|it| *it != now.download_limit),
            upload_limit: self.upload_limit.filter(|it| *it != now.upload_limit),
            upload_slots: self.upload_slots.filter(|it| *it != now.upload_slots),
            downloads_at_once: self.downloads_at_once.filter(|it| *it != now.downloads_at_once),
            inbox: self.inbox.and_then(|it| differs(it == now.inbox).map(|()| it)),
            lan: self.lan.filter(|it| *it != now.lan),
        }
    }
}
