//! The signing keys of an index over time: one signs, others follow it or went before.

use std::time::Duration;

use super::{
    grant::{GrantSigner, GrantVerifier, SignerError},
    index_key::IndexPublicKey,
    succession::{KeySuccession, MAX_SUCCESSIONS},
};
use crate::time::Timestamp;

/// Most keys that are kept.
const MAX_KEYS: usize = 8;

/// A private key of an index, and from when on it signs.
#[derive(Debug)]
pub struct SigningKey {
    /// From then on it signs, until the next one does.
    pub signs_from: Timestamp,
    /// The key.
    pub signer: GrantSigner,
}

/// The keys that sign grants, one after the other.
///
/// A key is published some time before it signs, so that every serving peer knows it then, and until the last grant that
/// it signed is over. So a change of keys breaks no transfer that runs.
#[derive(Debug)]
pub struct SigningKeys {
    /// At least one, in order of time.
    keys: Vec<SigningKey>,
    successions: Vec<KeySuccession>,
}

impl SigningKeys {
    /// One key, which signs from the beginning of time.
    pub fn new(signer: GrantSigner) -> Self {
        let first = SigningKey { signs_from: Timestamp::from_millis(0), signer };
        Self { keys: vec![first], successions: Vec::new() }
    }

    /// Keys that were kept somewhere, and the words that they gave for each other.
    ///
    /// # Errors
    /// [`SigningKeysError`] if there is no key, one twice, too many, or if they are not in order of time.
    pub fn from_parts(
        keys: Vec<SigningKey>,
        successions: Vec<KeySuccession>,
    ) -> Result<Self, SigningKeysError> {
        if keys.is_empty() {
            return Err(SigningKeysError::None);
        }
        if keys.len() > MAX_KEYS || successions.len() > MAX_SUCCESSIONS {
            return Err(SigningKeysError::TooMany);
        }
        if !keys.is_sorted_by(|a, b| a.signs_from < b.signs_from) {
            return Err(SigningKeysError::Order);
        }
        for (i, key) in keys.iter().enumerate() {
            if keys[..i].iter().any(|other| other.signer.public_key() == key.signer.public_key()) {
                return Err(SigningKeysError::Twice);
            }
        }
        Ok(Self { keys, successions })
    }

    /// All keys, in order of time.
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The words that keys gave for the ones after them, oldest first.
    pub fn successions(&self) -> &[KeySuccession] {
        &self.successions
    }

    /// The key that signs at the time `now`.
    pub fn signer(&self, now: Timestamp) -> &GrantSigner {
        &self.keys[self.position(now)].signer
    }

    /// The public keys to tell others at the time `now`, if a grant lasts `grant_lifetime`: first the one that signs,
    /// then those that will, then those with grants that are not over.
    pub fn published(&self, now: Timestamp, grant_lifetime: Duration) -> Vec<IndexPublicKey> {
        let at = self.position(now);
        let over = grant_lifetime.saturating_add(GrantVerifier::LEEWAY);
        // The key before signed its last grant when the one after it began.
        let running = self.keys[..at]
            .iter()
            .zip(&self.keys[1..])
            .filter(|(_, next)| now < next.signs_from.saturating_add(over))
            .map(|(key, _)| key);
        self.keys[at..].iter().chain(running).map(|key| key.signer.public_key()).collect()
    }

    /// Adds a new key that signs from `signs_from` on, later than any other; the one before gives its word for it. Keys
    /// that went before `now` are forgotten if their grants are over.
    ///
    /// # Errors
    /// [`SigningKeysError::Order`] if another key begins at that time or later: a change of keys is under way.
    pub fn add(
        &mut self,
        signer: GrantSigner,
        signs_from: Timestamp,
        now: Timestamp,
        grant_lifetime: Duration,
    ) -> Result<(), SigningKeysError> {
        let published = self.published(now, grant_lifetime);
        self.keys.retain(|key| published.contains(&key.signer.public_key()));
        if self.keys.len() == MAX_KEYS {
            return Err(SigningKeysError::TooMany);
        }
        // The one that signs is published, so there is a last one.
        let last = &self.keys[self.keys.len() - 1];
        if signs_from <= last.signs_from {
            return Err(SigningKeysError::Order);
        }
        self.successions.push(KeySuccession::new(&last.signer, signer.public_key()));
        let excess = self.successions.len().saturating_sub(MAX_SUCCESSIONS);
        self.successions.drain(..excess);
        self.keys.push(SigningKey { signs_from, signer });
        Ok(())
    }

    /// Where the key that signs at the time `now` is in the list.
    fn position(&self, now: Timestamp) -> usize {
        self.keys.partition_point(|key| key.signs_from <= now).saturating_sub(1)
    }
}

/// Why keys are no signing keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeysError {
    /// There is no key.
    #[error("there is no signing key")]
    None,
    /// There are more than anybody needs.
    #[error("there are too many signing keys: wait until grants of the old ones are over")]
    TooMany,
    /// They are not in order of time.
    #[error(
        "a signing key must begin later than the one before it: wait until a change of keys that was begun is over"
    )]
    Order,
    /// A key is there twice.
    #[error("a signing key is there twice")]
    Twice,
    /// A key cannot be used.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

#[cfg(test)]
mod tests {
    use super::super::succession::trusted_keys;
    use super::*;

    const GRANT: Duration = Duration::from_secs(600);

    fn signer() -> GrantSigner {
        GrantSigner::generate().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn a_key_is_known_before_it_signs_and_until_its_grants_are_over() {
        let (first, second) = (signer(), signer());
        let (a, b) = (first.public_key(), second.public_key());
        let mut keys = SigningKeys::new(first);
        assert_eq!(keys.published(at(0), GRANT), [a]);
        keys.add(second, at(1_000), at(700), GRANT).unwrap();

        assert_eq!(
            (keys.signer(at(999)).public_key(), keys.published(at(999), GRANT)),
            (a, vec![a, b])
        );
        assert_eq!(
            (keys.signer(at(1_000)).public_key(), keys.published(at(1_000), GRANT)),
            (b, vec![b, a])
        );
        // The last grant of the old key was signed just before, and clocks may differ.
        assert_eq!(keys.published(at(1_659), GRANT), [b, a]);
        assert_eq!(keys.published(at(1_660), GRANT), [b]);
        assert_eq!(trusted_keys(&[a], &[b], keys.successions()), [b]);
    }

    #[test]
    fn keys_that_are_over_are_forgotten_but_not_their_words() {
        let mut keys = SigningKeys::new(signer());
        let first = keys.signer(at(0)).public_key();
        for i in 1..=20 {
            keys.add(signer(), at(i * 10_000), at(i * 10_000 - 1), GRANT).unwrap();
            assert_eq!(keys.keys().len(), 2);
        }
        let published = keys.published(at(1_000_000), GRANT);
        assert_eq!(trusted_keys(&[first], &published, keys.successions()), published);
    }

    #[test]
    fn one_change_of_keys_after_the_other() {
        let mut keys = SigningKeys::new(signer());
        keys.add(signer(), at(100), at(0), GRANT).unwrap();
        assert_eq!(keys.add(signer(), at(100), at(0), GRANT), Err(SigningKeysError::Order));
        assert_eq!(SigningKeys::from_parts(vec![], vec![]).unwrap_err(), SigningKeysError::None);
        let same = signer().to_pkcs8_der();
        let twice = [1, 2].map(|seconds| SigningKey {
            signs_from: at(seconds),
            signer: GrantSigner::from_pkcs8_der(&same).unwrap(),
        });
        assert_eq!(
            SigningKeys::from_parts(twice.into(), vec![]).unwrap_err(),
            SigningKeysError::Twice
        );
    }
}
