//! The keys of indexes where this peer has logged in: pinned at the first login, compared at every later one.

use std::collections::BTreeMap;

use p2pshare_core::{api::IndexInfo, auth::IndexPublicKey};
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

    /// Remembers the keys of an index. One that is known must still show one of the keys that it had: a key that it
    /// rotates to is announced beside the old one.
    pub fn pin(
        &mut self,
        url: &IndexUrl,
        info: &IndexInfo,
        accept_new_key: bool,
    ) -> Result<(), PinError> {
        if info.public_keys.is_empty() {
            return Err(PinError::NoKey { url: url.to_string() });
        }
        if let Some(known) = self.keys.get(&url.to_string())
            && !accept_new_key
            && !info.public_keys.iter().any(|key| known.contains(key))
        {
            return Err(PinError::Changed { url: url.to_string() });
        }
        self.keys.insert(url.to_string(), info.public_keys.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::{api::Registration, auth::GrantSigner, time::Timestamp};

    use super::*;

    fn info(keys: &[IndexPublicKey]) -> IndexInfo {
        IndexInfo {
            name: "test".into(),
            version: "0".into(),
            public_keys: keys.to_vec(),
            registration: Registration::Open,
            time: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn a_rotated_key_is_taken_and_a_strange_one_is_not() {
        let key = || GrantSigner::generate().unwrap().public_key();
        let (first, second, strange) = (key(), key(), key());
        let url: IndexUrl = "http://127.0.0.1:1".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();

        let mut known = KnownIndexes::load(&dir).unwrap();
        known.pin(&url, &info(&[first]), false).unwrap();
        known.save(&dir).unwrap();

        let mut known = KnownIndexes::load(&dir).unwrap();
        assert!(known.pin(&url, &info(&[strange]), false).is_err());
        assert!(known.pin(&url, &info(&[]), true).is_err());
        known.pin(&url, &info(&[second, first]), false).unwrap();
        known.pin(&url, &info(&[second]), false).unwrap();
        known.pin(&url, &info(&[strange]), true).unwrap();
    }
}
