//! One key of an index following another, so that a peer that trusts the old one may trust the new one.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::{grant::GrantSigner, index_key::IndexPublicKey};

/// What is signed begins with this, so that the signature is good for nothing else.
const CONTEXT: &[u8] = b"p2pshare index key succession v1\0";

/// Most successions that are looked at: as many rotations can a peer have missed.
pub const MAX_SUCCESSIONS: usize = 64;

/// The word of an index's key that another key follows it.
///
/// Without it a new key could be trusted only because it is shown together with an old one, which anybody can do: public
/// keys are public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeySuccession {
    /// The key that gives its word.
    pub old: IndexPublicKey,
    /// The key that follows it.
    pub new: IndexPublicKey,
    /// Ed25519 signature of the old key, base64url without padding.
    #[cfg_attr(feature = "openapi", schema(max_length = 128))]
    pub signature: String,
}

impl KeySuccession {
    /// `old` gives its word for `new`.
    pub fn new(old: &GrantSigner, new: IndexPublicKey) -> Self {
        let signature = old.sign_bytes(&statement(old.public_key(), new));
        Self { old: old.public_key(), new, signature: BASE64URL_NOPAD.encode(&signature) }
    }

    /// Whether the old key really said so.
    pub fn is_genuine(&self) -> bool {
        let Ok(signature) = BASE64URL_NOPAD.decode(self.signature.as_bytes()) else {
            return false;
        };
        UnparsedPublicKey::new(&ED25519, self.old.as_bytes())
            .verify(&statement(self.old, self.new), &signature)
            .is_ok()
    }
}

/// Those of the `published` keys that somebody who trusts the `known` ones may trust: known ones, and those that follow
/// a trusted one by its own word. Empty if there is none: then this is not the index that is known, or its operator has
/// broken with the old key on purpose.
pub fn trusted_keys(
    known: &[IndexPublicKey],
    published: &[IndexPublicKey],
    successions: &[KeySuccession],
) -> Vec<IndexPublicKey> {
    let mut genuine: Vec<_> = successions
        .iter()
        .take(MAX_SUCCESSIONS)
        .filter(|succession| succession.is_genuine())
        .collect();
    let mut trusted = known.to_vec();
    loop {
        let before = trusted.len();
        genuine.retain(|succession| {
            let follows = trusted.contains(&succession.old);
            if follows && !trusted.contains(&succession.new) {
                trusted.push(succession.new);
            }
            !follows
        });
        if trusted.len() == before {
            return published.iter().copied().filter(|key| trusted.contains(key)).collect();
        }
    }
}

fn statement(old: IndexPublicKey, new: IndexPublicKey) -> Vec<u8> {
    [CONTEXT, old.as_bytes(), new.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signers(count: usize) -> Vec<GrantSigner> {
        (0..count).map(|_| GrantSigner::generate().unwrap()).collect()
    }

    #[test]
    fn trust_goes_along_a_chain_in_any_order() {
        let chain = signers(4);
        let keys: Vec<_> = chain.iter().map(GrantSigner::public_key).collect();
        let mut said: Vec<_> = (1..4).map(|i| KeySuccession::new(&chain[i - 1], keys[i])).collect();
        said.reverse();
        assert_eq!(trusted_keys(&keys[..1], &keys[2..], &said), keys[2..]);
        assert_eq!(trusted_keys(&keys[..1], &keys[3..], &said), keys[3..]);
        // It does not go back: who has the new key is not sure of the old one.
        assert!(trusted_keys(&keys[3..], &keys[..3], &said).is_empty());
        // A link is missing.
        said.remove(1);
        assert!(trusted_keys(&keys[..1], &keys[3..], &said).is_empty());
    }

    #[test]
    fn a_key_beside_a_known_one_is_not_trusted_for_that() {
        let [ours, evil] = <[GrantSigner; 2]>::try_from(signers(2)).unwrap();
        let published = [evil.public_key(), ours.public_key()];
        assert_eq!(trusted_keys(&[ours.public_key()], &published, &[]), [ours.public_key()]);
        // Nor for its own word, or for a word that was changed.
        let own = KeySuccession {
            old: ours.public_key(),
            ..KeySuccession::new(&evil, evil.public_key())
        };
        let third = GrantSigner::generate().unwrap().public_key();
        let changed = KeySuccession { new: evil.public_key(), ..KeySuccession::new(&ours, third) };
        let broken =
            KeySuccession { signature: "?".into(), ..KeySuccession::new(&ours, evil.public_key()) };
        for word in [own, changed, broken] {
            assert!(!word.is_genuine());
            assert_eq!(
                trusted_keys(&[ours.public_key()], &published, &[word]),
                [ours.public_key()]
            );
        }
    }
}
