//! The keys of the index while a session lasts: new ones may follow those that it had at login.

use std::sync::{Arc, PoisonError, RwLock};

use p2pshare_core::{
    auth::{IndexPublicKey, trusted_keys},
    identity::IndexKeyId,
};

use crate::{
    account::{SavedSession, SavedSessionError},
    data_dir::{DataDir, DataDirError},
    index_client::{ClientError, IndexClient},
    known_index::KnownIndexes,
};

/// Most keys of before that are remembered.
const MAX_FORMER: usize = 16;

/// The keys of the index of a session, as this peer trusts them now. A clone shares them.
#[derive(Clone, Debug)]
pub struct IndexKeys {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: SavedSession,
    /// Where the session and the pinned keys are kept, if anywhere.
    dir: Option<DataDir>,
    keys: RwLock<Keys>,
}

#[derive(Clone, Debug)]
struct Keys {
    current: Vec<IndexPublicKey>,
    former: Vec<IndexPublicKey>,
}

/// Why the index's keys are not known for sure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexKeysError {
    /// The index did not say.
    #[error(transparent)]
    Index(#[from] ClientError),
    /// It shows keys that do not follow those that are known.
    #[error(
        "the index shows another key than when you logged in, and the old key gives no word for it: something pretends \
         to be the index, or its operator has replaced the key; ask, and if so log in with --accept-new-key"
    )]
    Changed,
    /// They could not be kept.
    #[error(transparent)]
    Session(#[from] SavedSessionError),
    /// They could not be pinned.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

impl IndexKeys {
    /// The keys that the index had at login. What follows them is kept in `dir`, if that is given.
    pub fn new(session: &SavedSession, dir: Option<DataDir>) -> Self {
        let keys = Keys { current: session.public_keys.clone(), former: Vec::new() };
        let inner = Inner { session: session.clone(), dir, keys: RwLock::new(keys) };
        Self { inner: Arc::new(inner) }
    }

    /// The keys whose grants are accepted, the one that signs first.
    pub fn current(&self) -> Vec<IndexPublicKey> {
        self.keys().current
    }

    /// The ids of the keys, and after them of those that went before: an index with one of these is this index.
    pub fn ids(&self) -> Vec<IndexKeyId> {
        let Keys { current, former } = self.keys();
        current.iter().chain(&former).map(IndexPublicKey::key_id).collect()
    }

    /// Whether an index with these keys has changed them since.
    pub fn differ_from(&self, told: &[IndexKeyId]) -> bool {
        let known: Vec<_> = self.current().iter().map(IndexPublicKey::key_id).collect();
        // Who tells nothing has changed nothing.
        !told.is_empty() && known != told
    }

    /// Asks the index for its keys and takes those that may be trusted, for they follow known ones. `true`: they are
    /// others than before.
    ///
    /// # Errors
    /// [`IndexKeysError`]; the keys stay as they were.
    pub async fn refresh(&self, client: &IndexClient) -> Result<bool, IndexKeysError> {
        let info = client.info().await?;
        let before = self.keys();
        let current = trusted_keys(&before.current, &info.public_keys, &info.successions);
        if current.is_empty() {
            return Err(IndexKeysError::Changed);
        }
        if current == before.current {
            return Ok(false);
        }
        self.keep(&current)?;
        let mut former: Vec<_> = before.current.into_iter().chain(before.former).collect();
        former.retain(|key| !current.contains(key));
        former.truncate(MAX_FORMER);
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = Keys { current, former };
        tracing::info!("the index has changed its keys");
        Ok(true)
    }

    fn keep(&self, keys: &[IndexPublicKey]) -> Result<(), IndexKeysError> {
        let Some(dir) = &self.inner.dir else { return Ok(()) };
        // Somebody may have logged in anew since; that session has its own keys.
        match SavedSession::load(dir) {
            Ok(saved) if saved.token.hash() == self.inner.session.token.hash() => {
                SavedSession { public_keys: keys.to_vec(), ..saved }.save(dir)?;
            }
            Ok(_) | Err(SavedSessionError::None) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut known = KnownIndexes::load(dir)?;
        known.set(&self.inner.session.urls()?, keys);
        Ok(known.save(dir)?)
    }

    fn keys(&self) -> Keys {
        self.inner.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
