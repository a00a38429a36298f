//! Grants as they travel: JSON Web Tokens (RFC 7519) signed with Ed25519 (RFC 8037).

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::claims::{GrantClaims, GrantId};
use super::index_key::IndexPublicKey;
use crate::content::ContentId;
use crate::identity::{Access, GroupsId, IndexKeyId, PeerId, Reach, Username};
use crate::time::Timestamp;

/// The type in a grant's header: another token signed with the same key is no grant (RFC 8725, section 3.11).
const TYPE: &str = "p2pshare-grant+jwt";

/// Signs grants: the private key of an index.
pub struct GrantSigner {
    pkcs8: Zeroizing<Vec<u8>>,
    key: EncodingKey,
    public: IndexPublicKey,
}

impl GrantSigner {
    /// Makes a new key from the system's randomness.
    ///
    /// # Errors
    /// [`SignerError::System`] if the system has no randomness to give.
    pub fn generate() -> Result<Self, SignerError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| SignerError::System)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| SignerError::System)?;
        Self::from_pkcs8_der(pkcs8.as_ref())
    }

    /// Reads a private key in PKCS #8, DER encoded.
    ///
    /// # Errors
    /// [`SignerError::PrivateKey`] if it is none, or of another kind than Ed25519.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, SignerError> {
        let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| SignerError::PrivateKey)?;
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref());
        Ok(Self {
            pkcs8: Zeroizing::new(der.to_vec()),
            key: EncodingKey::from_ed_der(der),
            public: IndexPublicKey::from_bytes(public.map_err(|_| SignerError::PrivateKey)?),
        })
    }

    /// The private key in PKCS #8, DER encoded, to be kept where nobody else can read it.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// The key with which its grants are verified.
    pub fn public_key(&self) -> IndexPublicKey {
        self.public
    }

    /// The short name of the key: the issuer of its grants.
    pub fn key_id(&self) -> IndexKeyId {
        self.public.key_id()
    }

    /// Signs a grant. Its times are rounded down to whole seconds.
    ///
    /// The issuer in `claims` must be [`key_id`](Self::key_id): a grant that names another is refused by whoever
    /// verifies it.
    pub fn sign(&self, claims: &GrantClaims) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(claims.issuer.to_string());
        encode(&header, &Payload::from(claims), &self.key)
            .expect("texts and numbers serialize, and the key was read by `from_pkcs8_der` before")
    }
}

impl GrantSigner {
    /// Signs bytes that are no grant.
    pub(super) fn sign_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let pair = Ed25519KeyPair::from_pkcs8(&self.pkcs8)
            .expect("it was read by `from_pkcs8_der` before");
        pair.sign(bytes).as_ref().to_vec()
    }
}

impl Debug for GrantSigner {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "GrantSigner({}, private key redacted)", self.public)
    }
}

/// Why there is no key to sign grants with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The private key cannot be read.
    #[error(
        "this is not a private key of an index: it must be an Ed25519 key in PKCS #8, DER encoded"
    )]
    PrivateKey,
    /// The cryptographic library failed, most likely for want of randomness.
    #[error("the system's cryptographic library failed: try again")]
    System,
}

/// Checks grants offline, against the public keys of the indexes that a peer trusts.
#[derive(Clone)]
pub struct GrantVerifier {
    keys: HashMap<IndexKeyId, DecodingKey>,
    validation: Validation,
}

impl GrantVerifier {
    /// Longest grant that is looked at, in bytes.
    pub const MAX_BYTES: usize = 2048;
    /// How far the clocks of index and peer may be apart.
    pub const LEEWAY: Duration = Duration::from_secs(60);

    /// Accepts grants signed with one of `keys`.
    pub fn new(keys: Vec<IndexPublicKey>) -> Self {
        let keys =
            keys.into_iter().map(|key| (key.key_id(), DecodingKey::from_ed_der(key.as_bytes())));
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Claims are checked here, against a time that is passed in; the library checks the signature alone.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self { keys: keys.collect(), validation }
    }

    /// Checks that `token` is a grant of a trusted index that holds at the time `now`, and reads it. What it permits
    /// is asked of [`GrantClaims::permits`].
    ///
    /// # Errors
    /// [`GrantError`] says what is wrong with it.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<GrantClaims, GrantError> {
        if token.len() > Self::MAX_BYTES {
            return Err(GrantError::TooLong { bytes: token.len() });
        }
        let header = decode_header(token).map_err(|_| GrantError::Malformed)?;
        // A critical extension that is not understood must be refused (RFC 7515, section 4.1.11).
        let typed = header.typ.as_deref() == Some(TYPE) && header.crit.is_none();
        if header.alg != Algorithm::EdDSA || !typed {
            return Err(GrantError::Malformed);
        }
        let issuer = header.kid.and_then(|kid| kid.parse().ok()).ok_or(GrantError::Malformed)?;
        let key = self.keys.get(&issuer).ok_or(GrantError::UnknownIssuer { key: issuer })?;
        let payload =
            decode::<Payload>(token, key, &self.validation).map_err(|error| {
                match error.kind() {
                    ErrorKind::InvalidSignature => GrantError::Signature,
                    _ => GrantError::Malformed,
                }
            })?;
        let claims = GrantClaims::from(payload.claims);
        if claims.issuer != issuer {
            return Err(GrantError::Malformed);
        }
        if now.saturating_sub(Self::LEEWAY) >= claims.expires_at {
            return Err(GrantError::Expired { at: claims.expires_at });
        }
        if now.saturating_add(Self::LEEWAY) < claims.issued_at {
            return Err(GrantError::NotYet { from: claims.issued_at });
        }
        Ok(claims)
    }
}

impl Debug for GrantVerifier {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

/// Why a token is not accepted as a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// It is longer than any grant.
    #[error(
        "the grant is {bytes} bytes long, at most {} are read: send it as the index gave it",
        GrantVerifier::MAX_BYTES
    )]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It is no grant: damaged, of another algorithm or type, or with claims missing.
    #[error("this is not a grant: send the token as the index gave it")]
    Malformed,
    /// The index that signed it is not trusted here.
    #[error(
        "the grant is signed with the key {key}, which is not trusted here: ask the index that this peer uses"
    )]
    UnknownIssuer {
        /// The key that it names.
        key: IndexKeyId,
    },
    /// The signature is not that of the index.
    #[error("the grant's signature is wrong: send it as the index gave it")]
    Signature,
    /// It no longer holds.
    #[error("the grant expired at {at}: ask the index for a new one")]
    Expired {
        /// When it expired.
        at: Timestamp,
    },
    /// It does not hold yet.
    #[error(
        "the grant holds from {from}, which is not yet: check the clocks of this machine and of the index"
    )]
    NotYet {
        /// From when it holds.
        from: Timestamp,
    },
}

/// The claims as they are written in the token.
#[derive(Serialize, Deserialize)]
struct Payload {
    iss: IndexKeyId,
    sub: Username,
    act: Access,
    cid: ContentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<PeerId>,
    /// The groups; none: everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    grp: Option<GroupsId>,
    iat: i64,
    exp: i64,
    jti: GrantId,
}

/// The key that may use the token (RFC 7800).
#[derive(Serialize, Deserialize)]
struct Confirmation {
    p2p: PeerId,
}

impl From<&GrantClaims> for Payload {
    fn from(claims: &GrantClaims) -> Self {
        Self {
            iss: claims.issuer,
            sub: claims.user.clone(),
            act: claims.action,
            cid: claims.content,
            cnf: claims.holder.map(|p2p| Confirmation { p2p }),
            aud: claims.audience,
            grp: match claims.reach {
                Reach::Everyone => None,
                Reach::Groups(groups) => Some(groups),
            },
            iat: claims.issued_at.as_secs(),
            exp: claims.expires_at.as_secs(),
            jti: claims.id,
        }
    }
}

impl From<Payload> for GrantClaims {
    fn from(payload: Payload) -> Self {
        Self {
            issuer: payload.iss,
            user: payload.sub,
            action: payload.act,
            content: payload.cid,
            holder: payload.cnf.map(|cnf| cnf.p2p),
            audience: payload.aud,
            reach: payload.grp.map_or(Reach::Everyone, Reach::Groups),
            issued_at: Timestamp::from_secs(payload.iat),
            expires_at: Timestamp::from_secs(payload.exp),
            id: payload.jti,
        }
    }
}
