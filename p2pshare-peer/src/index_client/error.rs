//! What can go wrong between a peer and its index.

use std::io;

use p2pshare_core::api::{Problem, ProblemKind};
use rustls::{CertificateError, Error as TlsError};

use super::IndexUrl;

/// Why a call to the index failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No URL was given.
    #[error("no index is known: say which one with --index URL, or log in first")]
    NoIndex,
    /// The index cannot be reached.
    #[error("the index at {url} cannot be reached: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The index refused.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// The index would not know this peer.
    #[error("{0}")]
    Announce(String),
    /// What answered is not an index of this version.
    #[error("the index at {url} gave an answer that makes no sense: {reason}")]
    BadAnswer {
        /// Where.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// The kind of problem, if the index refused.
    pub fn kind(&self) -> Option<ProblemKind> {
        match self {
            Self::Problem(problem) => problem.kind(),
            _ => None,
        }
    }

    /// Whether the index does not, or no longer, know who asks: they have to log in.
    pub fn is_logged_out(&self) -> bool {
        matches!(self.kind(), Some(ProblemKind::NotLoggedIn | ProblemKind::AccountDisabled))
    }

    /// Whether the same call may succeed later.
    ///
    /// An answer that makes no sense may be that of a proxy whose index starts anew, or of a network that wants to show a
    /// page first.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::BadAnswer { .. } => true,
            Self::Problem(problem) => match problem.kind() {
                Some(kind) => matches!(
                    kind,
                    ProblemKind::Unavailable
                        | ProblemKind::Timeout
                        | ProblemKind::TooManyRequests
                        | ProblemKind::Internal
                ),
                // Of a proxy, or of a later version.
                None => problem.status >= 500 || matches!(problem.status, 408 | 425 | 429),
            },
            _ => false,
        }
    }

    /// What the user can do next.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => problem.hint.as_deref(),
            Self::Unreachable { .. } => {
                Some("check the URL and that the index runs, then try again")
            }
            _ => None,
        }
    }

    pub(super) fn unreachable(url: &IndexUrl, error: &reqwest::Error) -> Self {
        // The innermost cause says what a person can use ("connection refused"); the outer ones say "error sending
        // request for url".
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let reason = match error.is_timeout() {
            true => "it does not answer".to_owned(),
            false => told_better(cause).unwrap_or_else(|| cause.to_string()),
        };
        Self::Unreachable { url: url.to_string(), reason }
    }
}

/// What a person can use of what the libraries say of another protocol or a certificate of the index's own.
fn told_better(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = cause;
    // Its `source` is that of what it wraps.
    while let Some(wrapped) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        cause = wrapped;
    }
    match cause.downcast_ref::<TlsError>() {
        Some(TlsError::InvalidMessage(_)) => Some(
            "what answers there does not speak TLS: without it the URL begins with http://".into(),
        ),
        Some(TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => Some(
            "its certificate is not the one that the URL names after #sha256=: ask who runs it whether it has a new one"
                .into(),
        ),
        Some(TlsError::InvalidCertificate(error)) => Some(format!(
            "its certificate is not trusted here ({error}): if the index made its own, take the URL that it prints, \
             with #sha256= at the end"
        )),
        _ => cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse).then(|| {
            "what answers there does not speak HTTP: if the index has TLS, its URL begins with https://"
                .into()
        }),
    }
}
