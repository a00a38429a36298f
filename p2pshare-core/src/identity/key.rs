//! The key of a peer.

use std::fmt::{self, Debug, Formatter};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use zeroize::Zeroizing;

use super::peer_id::PeerId;

/// The key pair that makes a peer who it is: ECDSA on the curve P-256.
pub struct PeerKey {
    pair: EcdsaKeyPair,
    public: Vec<u8>,
    id: PeerId,
}

impl PeerKey {
    /// Makes a new key from the system's randomness.
    ///
    /// # Errors
    /// [`KeyError::System`] if the system has no randomness to give.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        Self::from_pair(pair.map_err(|_| KeyError::System)?)
    }

    /// Reads a private key in PKCS #8, DER encoded.
    ///
    /// # Errors
    /// [`KeyError::PrivateKey`] if it is none, or of another kind.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der);
        Self::from_pair(pair.map_err(|_| KeyError::PrivateKey)?)
    }

    fn from_pair(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::System)?;
        let public = der.as_ref().to_vec();
        let id = PeerId::from_public_key_der(&public)?;
        Ok(Self { pair, public, id })
    }

    /// The private key in PKCS #8, DER encoded, to be kept where nobody else can read it.
    ///
    /// # Errors
    /// [`KeyError::System`] if the cryptographic library fails.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| KeyError::System)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The identity that this key gives.
    pub fn peer_id(&self) -> PeerId {
        self.id
    }

    /// The public key as a SubjectPublicKeyInfo, DER encoded.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public
    }

    /// Signs `message`: ECDSA with SHA-256, DER encoded.
    ///
    /// # Errors
    /// [`KeyError::System`] if the system has no randomness to give.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        Ok(signature.map_err(|_| KeyError::System)?.as_ref().to_vec())
    }
}

impl Debug for PeerKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({}, private key redacted)", self.id)
    }
}

impl PeerId {
    /// The peer with this public key: a SubjectPublicKeyInfo in DER, as in its certificate.
    ///
    /// # Errors
    /// [`KeyError::PublicKey`] if it is not a point of P-256 in the one encoding that peers use.
    pub fn from_public_key_der(spki: &[u8]) -> Result<Self, KeyError> {
        parse_public_key(spki).map(|(id, _)| id)
    }
}

/// Checks that `signature` over `message` was made with the private key of `spki`, and says whose key that is.
///
/// Only P-256 keys with an uncompressed point are accepted, so each key has one encoding and one [`PeerId`].
///
/// # Errors
/// [`KeyError::PublicKey`] if `spki` is not such a key, [`KeyError::Signature`] if the signature is not its.
pub fn verify_peer_signature(
    spki: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<PeerId, KeyError> {
    // Two integers of at most 33 bytes, each with a two byte head, in a sequence with a two byte head.
    const MAX_SIGNATURE: usize = 72;

    let (id, key) = parse_public_key(spki)?;
    if signature.len() > MAX_SIGNATURE {
        return Err(KeyError::Signature);
    }
    key.verify_sig(message, signature).map_err(|_| KeyError::Signature)?;
    Ok(id)
}

/// What stands before the two coordinates in a SubjectPublicKeyInfo of P-256 (RFC 5480): the algorithm
/// `id-ecPublicKey`, the curve `secp256r1`, the head of the bit string, the mark of an uncompressed point.
const SPKI_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const SPKI_LEN: usize = SPKI_HEAD.len() + 64;

fn parse_public_key(spki: &[u8]) -> Result<(PeerId, ParsedPublicKey), KeyError> {
    if spki.len() != SPKI_LEN || !spki.starts_with(&SPKI_HEAD) {
        return Err(KeyError::PublicKey);
    }
    // The point starts at its mark, the last byte of the head. That it lies on the curve is checked here.
    let point = &spki[SPKI_HEAD.len() - 1..];
    let key =
        ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).map_err(|_| KeyError::PublicKey)?;
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, spki).as_ref());
    Ok((PeerId::from_bytes(hash), key))
}

/// What is wrong with a peer's key or signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The private key cannot be read.
    #[error("this is not a private key of a peer: it must be a P-256 key in PKCS #8, DER encoded")]
    PrivateKey,
    /// The public key cannot be read.
    #[error(
        "this is not a public key of a peer: it must be an uncompressed P-256 key as a \
         SubjectPublicKeyInfo, DER encoded"
    )]
    PublicKey,
    /// The signature was not made with the key, or not over the message.
    #[error("the signature does not fit the key and the message")]
    Signature,
    /// The cryptographic library failed, most likely for want of randomness.
    #[error("the system's cryptographic library failed: try again")]
    System,
}
