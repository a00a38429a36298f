//! The keys of indexes where this peer has logged in: pinned at the first login, compared at every later one.

use std::collections::BTreeMap;

use p2pshare_core::{
    api::IndexInfo,
    auth::{IndexPublicKey, trusted_keys},
};
use serde::{Deserialize, Serialize};

use crate::{
    data_dir::{DataDir, DataDirError},
    index_client::IndexUrl,
};

const KNOWN_FILE: &str = "known_indexes.json";

/// Which index has which keys.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KnownIndexes {
    keys: BTreeMap<String, Vec<IndexPublicKey>>,
}

/// Why an index's key was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The index has another key than before.
    #[error(
        "the index at {url} shows another key than when you first logged in: it was replaced, or something pretends to \
         be it"
    )]
    Changed {
        /// Where.
        url: String,
    },
    /// The index shows no key.
    #[error("the index at {url} shows no key")]
    NoKey {
        /// Where.
        url: String,
    },
}

impl KnownIndexes {
    /// Reads what is known in a data directory.
    pub fn load(dir: &DataDir) -> Result<Self, DataDirError> {
        match dir.read_secret(KNOWN_FILE)? {
            None => Ok(Self::default()),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| DataDirError::Io {
                what: "reading",
                path: dir.path().join(KNOWN_FILE),
                error: error.into(),
            }),
        }
    }

    /// Keeps what is known in a data directory.
    pub fn save(&self, dir: &DataDir) -> Result<(), DataDirError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| DataDirError::Io {
            what: "writing",
            path: dir.path().join(KNOWN_FILE),
            error: error.into(),
        })?;
        dir.write_secret(KNOWN_FILE, &bytes)
    }

    /// Remembers the keys of the index at `urls`, and gives those that may be trusted. If one of the URLs is known, these
    /// are the keys that it had, and those that follow them by their own word.
    pub fn pin(
        &mut self,
        urls: &[IndexUrl],
        info: &IndexInfo,
        accept_new_key: bool,
    ) -> Result<Vec<IndexPublicKey>, PinError> {
        let url = || urls.first().map(ToString::to_string).unwrap_or_default();
        if info.public_keys.is_empty() {
            return Err(PinError::NoKey { url: url() });
        }
        let known: Vec<_> = urls
            .iter()
            .filter_map(|url| self.keys.get(&url.to_string()))
            .flatten()
            .copied()
            .collect();
        let keys = if known.is_empty() || accept_new_key {
            info.public_keys.clone()
        } else {
            trusted_keys(&known, &info.public_keys, &info.successions)
        };
        if keys.is_empty() {
            return Err(PinError::Changed { url: url() });
        }
        self.set(urls, &keys);
        Ok(keys)
    }

    /// Whether a key is known of the index at one of these URLs.
    pub fn knows(&self, urls: &[IndexUrl]) -> bool {
        urls.iter().any(|url| self.keys.contains_key(&url.to_string()))
    }

    /// These are the keys of the index at `urls`.
    pub(crate) fn set(&mut self, urls: &[IndexUrl], keys: &[IndexPublicKey]) {
        for url in urls {
            self.keys.insert(url.to_string(), keys.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::{
        api::Registration,
        auth::{GrantSigner, KeySuccession},
        time::Timestamp,
    };

    use super::*;

    fn info(keys: &[IndexPublicKey], successions: &[KeySuccession]) -> IndexInfo {
        IndexInfo {
            name: "test".into(),
            version: "0".into(),
            public_keys: keys.to_vec(),
            successions: successions.to_vec(),
            registration: Registration::Open,
            time: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn a_key_that_follows_is_taken_and_a_strange_one_is_not() {
        let signers = [(); 3].map(|()| GrantSigner::generate().unwrap());
        let [first, second, strange] = signers.each_ref().map(GrantSigner::public_key);
        let word = [KeySuccession::new(&signers[0], second)];
        let urls: [IndexUrl; 1] = ["http://127.0.0.1:1".parse().unwrap()];
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();

        let mut known = KnownIndexes::load(&dir).unwrap();
        assert_eq!(known.pin(&urls, &info(&[first], &[]), false).unwrap(), [first]);
        known.save(&dir).unwrap();

        let mut known = KnownIndexes::load(&dir).unwrap();
        assert!(known.pin(&urls, &info(&[strange], &word), false).is_err());
        assert!(known.pin(&urls, &info(&[], &word), true).is_err());
        // Anybody can show a key that is public.
        assert_eq!(known.pin(&urls, &info(&[strange, first], &[]), false).unwrap(), [first]);
        assert_eq!(
            known.pin(&urls, &info(&[second, first], &word), false).unwrap(),
            [second, first]
        );
        assert_eq!(known.pin(&urls, &info(&[second], &[]), false).unwrap(), [second]);
        assert_eq!(known.pin(&urls, &info(&[strange], &[]), true).unwrap(), [strange]);
    }
}
