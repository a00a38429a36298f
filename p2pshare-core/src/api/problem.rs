//! Errors as RFC 9457 problem documents.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $title:literal;)*) => {
        /// Every kind of error that the index answers with. The text form is stable: programs may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemKind { $($(#[$doc])* $name,)* }

        impl ProblemKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name, as the last part of the problem's `type`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A few words that say what it is, the same for every problem of the kind.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problem_kinds! {
    /// The request is malformed.
    InvalidRequest = "invalid-request", 400, "The request is not valid";
    /// No session, or one that has ended.
    NotLoggedIn = "not-logged-in", 401, "Not logged in";
    /// Wrong user name or password.
    WrongCredentials = "wrong-credentials", 401, "Wrong user name or password";
    /// The session's user may not do this.
    Forbidden = "forbidden", 403, "Not allowed";
    /// The account is disabled.
    AccountDisabled = "account-disabled", 403, "The account is disabled";
    /// Nobody may register, or an invite is needed and none or a wrong one was given.
    RegistrationRefused = "registration-refused", 403, "Registration is not open";
    /// It does not exist, or not for this user.
    NotFound = "not-found", 404, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed", 405, "Method not allowed";
    /// The name is taken.
    AlreadyExists = "already-exists", 409, "It exists already";
    /// The announce is older than one that the index has seen, or its time is off.
    StaleAnnounce = "stale-announce", 409, "The announce is not fresh";
    /// The state does not allow it, and trying again does not help.
    Conflict = "conflict", 409, "The request does not fit what is there";
    /// The body is larger than allowed.
    TooLarge = "too-large", 413, "The request is too large";
    /// The body is not JSON.
    UnsupportedMediaType = "unsupported-media-type", 415, "The body must be application/json";
    /// Too many requests in a short time.
    TooManyRequests = "too-many-requests", 429, "Too many requests";
    /// A quota is used up.
    QuotaExceeded = "quota-exceeded", 403, "The quota is used up";
    /// A fault of the index.
    Internal = "internal", 500, "The index failed";
    /// The index or its store is not there for the moment.
    Unavailable = "unavailable", 503, "The index is not available";
    /// The request took too long.
    Timeout = "timeout", 503, "The request took too long";
}

/// Base of every problem's `type`.
const TYPE_BASE: &str = "urn:p2pshare:problem:";

/// A problem document: `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:p2pshare:problem:` and the kind's stable name.
    #[serde(rename = "type")]
    pub problem_type: Cow<'static, str>,
    /// A few words that say what it is.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// What happened to what, in a sentence.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The request's id, to be found in the index's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            problem_type: format!("{TYPE_BASE}{}", kind.name()).into(),
            title: kind.title().into(),
            status: kind.status(),
            detail: detail.into(),
            hint: None,
            request_id: None,
        }
    }

    /// The same with a hint of what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Its kind, if this program knows it.
    pub fn kind(&self) -> Option<ProblemKind> {
        let name = self.problem_type.strip_prefix(TYPE_BASE)?;
        ProblemKind::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_wire() {
        for &kind in ProblemKind::ALL {
            let sent = Problem::new(kind, "detail").with_hint("hint");
            let text = serde_json::to_string(&sent).unwrap();
            let received: Problem = serde_json::from_str(&text).unwrap();
            assert_eq!(received, sent);
            assert_eq!(received.kind(), Some(kind));
        }
    }
}
