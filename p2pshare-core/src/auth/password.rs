//! Passwords, and what is kept of them.

use std::fmt::{self, Debug, Formatter};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::random::random;

/// A password that somebody typed, in Unicode's normal form C, so that it is the same from every keyboard.
///
/// At least 8 characters and at most 1024 bytes, never cut: what OWASP's authentication cheat sheet and NIST SP
/// 800-63B ask for. Wiped from memory when dropped. It is serialized as it is, to be sent to an index.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Fewest characters (Unicode code points).
    pub const MIN_CHARS: usize = 8;
    /// Most bytes of UTF-8.
    pub const MAX_BYTES: usize = 1024;

    /// Takes a password; what was passed is wiped.
    ///
    /// # Errors
    /// [`PasswordError`] if it is too short or too long.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, PasswordError> {
        // Normal form C is at most three times as long, so the buffer never moves and leaves no copy behind.
        const GROWTH: usize = 3;

        let text = text.into();
        if text.len() > Self::MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        let mut normal = Zeroizing::new(String::with_capacity(text.len() * GROWTH));
        normal.extend(text.nfc());
        if normal.len() > Self::MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        if normal.chars().count() < Self::MIN_CHARS {
            return Err(PasswordError::TooShort);
        }
        Ok(Self(normal))
    }

    /// The password itself, for an [`Authenticator`](super::Authenticator) to work with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Debug for Password {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(
    Password,
    Password::MAX_BYTES,
    "^.{8,}$",
    "A password: at least 8 characters, at most 1024 bytes of UTF-8.",
    "correct horse battery staple"
);

/// Why a text cannot be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// It has fewer than [`Password::MIN_CHARS`] characters.
    #[error(
        "the password is too short: use at least {} characters, a few words are best",
        Password::MIN_CHARS
    )]
    TooShort,
    /// It has more than [`Password::MAX_BYTES`] bytes.
    #[error("the password is too long: use at most {} bytes", Password::MAX_BYTES)]
    TooLong,
}

/// What a store keeps of a password: a text in the PHC string format, such as `$argon2id$v=19$m=…`.
///
/// Passwords can be guessed from it at leisure, so it is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Verifier(String);

/// No algorithm has one of these names.
const GONE: &str = "$gone$";
const ELSEWHERE: &str = "$elsewhere$";

/// Random bytes that make two of them differ.
const DISTINCT: usize = 16;

impl Verifier {
    /// Most bytes.
    pub const MAX_BYTES: usize = 512;

    /// Takes what an [`Authenticator`](super::Authenticator) made, or what a store kept.
    ///
    /// # Errors
    /// [`VerifierError`] if it is too long or does not look like a PHC string. Whether it is of a known algorithm is
    /// seen when it is used.
    pub fn parse(phc: impl Into<String>) -> Result<Self, VerifierError> {
        let phc = phc.into();
        let shaped = phc.len() <= Self::MAX_BYTES && phc.starts_with('$');
        if !shaped || !phc.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(VerifierError);
        }
        Ok(Self(phc))
    }

    /// That of an account that is being deleted: no password is right.
    pub fn gone() -> Self {
        Self(GONE.to_owned())
    }

    /// Whether it is [`gone`](Self::gone).
    pub fn is_gone(&self) -> bool {
        self.0 == GONE
    }

    /// That of an account whose password only a [directory](super::Authenticator::is_directory) knows. No two are the
    /// same, as with those of passwords: it tells an account from a later one of its name.
    pub fn elsewhere() -> Self {
        Self(format!("{ELSEWHERE}{}", HEXLOWER.encode(&*random::<DISTINCT>())))
    }

    /// Whether a password can be checked against it.
    pub fn is_of_password(&self) -> bool {
        !self.is_gone() && !self.0.starts_with(ELSEWHERE)
    }

    /// The text to keep.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Debug for Verifier {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let algorithm = self.0.split('$').nth(1).unwrap_or_default();
        write!(f, "Verifier({algorithm}, redacted)")
    }
}

impl TryFrom<String> for Verifier {
    type Error = VerifierError;

    fn try_from(phc: String) -> Result<Self, VerifierError> {
        Self::parse(phc)
    }
}

impl From<Verifier> for String {
    fn from(verifier: Verifier) -> Self {
        verifier.0
    }
}

/// What is kept of a password cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "what is stored of the password is damaged or of an unknown kind: an operator must reset the user's password"
)]
pub struct VerifierError;

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Result<Password, PasswordError> {
        Password::new(text.to_owned())
    }

    #[test]
    fn length_is_checked_and_nothing_is_cut() {
        assert_eq!(password("1234567").unwrap_err(), PasswordError::TooShort);
        assert_eq!(password("éééé").unwrap_err(), PasswordError::TooShort);
        assert_eq!(password("12345678").unwrap().reveal(), "12345678");
        assert_eq!(password(" spaces stay ").unwrap().reveal(), " spaces stay ");
        assert_eq!(password(&"a".repeat(1024)).unwrap().reveal().len(), 1024);
        assert_eq!(password(&"a".repeat(1025)).unwrap_err(), PasswordError::TooLong);
        // U+0958 becomes twice as long in normal form C.
        assert_eq!(password(&"\u{958}".repeat(341)).unwrap_err(), PasswordError::TooLong);
    }

    #[test]
    fn serde_goes_through_the_check() {
        let json = "\"correct horse\"";
        let password: Password = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&password).unwrap(), json);
        let error = serde_json::from_str::<Password>("\"secret\"").unwrap_err().to_string();
        assert!(error.contains("too short") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn one_password_from_every_keyboard() {
        let (composed, decomposed) =
            (password("caf\u{e9} noir").unwrap(), password("cafe\u{301} noir").unwrap());
        assert_eq!(composed.reveal(), decomposed.reveal());
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", password("hunter22").unwrap()), "Password(redacted)");
        let verifier = Verifier::parse("$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA").unwrap();
        assert_eq!(format!("{verifier:?}"), "Verifier(argon2id, redacted)");
    }

    #[test]
    fn a_verifier_must_look_like_one() {
        for text in ["", "argon2id", "$a b", "$\n", &"$".repeat(513)] {
            assert_eq!(Verifier::parse(text), Err(VerifierError), "{text:?}");
        }
        let json = "\"$argon2id$x\"";
        let verifier: Verifier = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&verifier).unwrap(), json);
        assert!(serde_json::from_str::<Verifier>("\"x\"").is_err());
    }
}
