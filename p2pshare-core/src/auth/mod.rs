//! Who may do what: passwords, sessions, and the grants that an index signs and peers check.

mod argon;
mod authenticator;
mod claims;
mod grant;
mod index_key;
mod password;
mod random;
mod session;
mod signing_keys;
mod succession;

pub use argon::{Argon2Authenticator, Argon2Params, ParamsError};
pub use authenticator::{AuthError, Authenticator, Verdict};
pub use claims::{GrantClaims, GrantId, GrantIdError, NotPermitted};
pub use grant::{GrantError, GrantSigner, GrantVerifier, SignerError};
pub use index_key::{IndexPublicKey, IndexPublicKeyError};
pub use password::{Password, PasswordError, Verifier, VerifierError};
pub use session::{SessionToken, SessionTokenError, TokenHash};
pub use signing_keys::{SigningKey, SigningKeys, SigningKeysError};
pub use succession::{KeySuccession, MAX_SUCCESSIONS, trusted_keys};
