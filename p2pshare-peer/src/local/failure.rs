//! The one way in which a request fails: a problem document, as the index answers with.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use p2pshare_core::{
    api::{Problem, ProblemKind},
    backend::sqlite::DatabaseError,
};

use crate::{
    download::TargetError,
    downloads::{DownloadsError, ReadError},
    index_client::ClientError,
    known_index::PinError,
    node::NodeError,
    publish::AnnounceFailure,
    session::SessionError,
    share::ShareError,
};

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What is told to whoever shows no proof. Of its own, so that it is not taken for "nobody is logged in".
const NO_ACCESS: &str = "urn:p2pshare:problem:no-access";

/// The index shows another key than the one that is known.
const KEY_CHANGED: &str = "urn:p2pshare:problem:index-key-changed";

/// A failed request.
#[derive(Debug)]
pub(super) struct Failure(Box<Problem>);

/// What a handler answers with.
pub(super) type Answer<T> = Result<T, Failure>;

impl Failure {
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let mut problem = Problem::new(kind, detail);
        // The index has nothing to do with it.
        match kind {
            ProblemKind::Internal => problem.title = "The peer failed".into(),
            ProblemKind::Unavailable => problem.title = "Not available".into(),
            _ => {}
        }
        Self(Box::new(problem))
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidRequest, detail)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same with a status that no kind has.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.0.status = status.as_u16();
        self
    }

    /// The request shows nothing that lets it in.
    pub(super) fn no_access() -> Self {
        let mut problem = Problem::new(
            ProblemKind::NotLoggedIn,
            "this peer answers its owner only, and the request has no key of theirs",
        )
        .with_hint("run `p2pshare-peer ui` and open the address that it prints");
        problem.problem_type = NO_ACCESS.into();
        problem.title = "No access to this peer".into();
        Self(Box::new(problem))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::debug!(detail = self.0.detail, "a request of the local server failed");
        }
        let mut response = (status, axum::Json(&self.0)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        response
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        use ProblemKind as Kind;
        let text = error.to_string();
        match error {
            NodeError::LoggedOut => not_logged_in(text),
            NodeError::Invalid(_) | NodeError::IndexUrl(_) | NodeError::Name(_) => {
                Self::invalid(text)
            }
            NodeError::NotFound(_) => Self::new(Kind::NotFound, text),
            NodeError::Conflict(_) => Self::new(Kind::Conflict, text),
            NodeError::Index(error)
            | NodeError::Announce(AnnounceFailure::Index(error))
            | NodeError::Session(SessionError::Index(error)) => error.into(),
            NodeError::Session(SessionError::Pin(PinError::Changed { .. })) => key_changed(text),
            NodeError::Session(SessionError::Saved(_)) => not_logged_in(text),
            NodeError::Share(
                ShareError::NotFound(_) | ShareError::NoShare | ShareError::NotShared(_),
            ) => Self::new(Kind::NotFound, text),
            NodeError::Share(
                ShareError::Special(_)
                | ShareError::System(_)
                | ShareError::OwnData(_)
                | ShareError::NoName { .. }
                | ShareError::Unreadable { .. },
            )
            | NodeError::Inbox(_) => Self::invalid(text),
            NodeError::Share(ShareError::Ended(_)) => Self::new(Kind::Conflict, text),
            NodeError::Downloads(error) => error.into(),
            NodeError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                Self::new(Kind::NotFound, text)
            }
            NodeError::Io { .. } => Self::invalid(text),
            NodeError::Interrupted => Self::new(Kind::Unavailable, text),
            _ => Self::new(Kind::Internal, text),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let failure = match error {
            // As the index said it.
            ClientError::Problem(problem) => return Self(problem),
            ClientError::NoIndex => Self::invalid(error.to_string()),
            other => Self::new(ProblemKind::Unavailable, other.to_string()),
        };
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<DownloadsError> for Failure {
    fn from(error: DownloadsError) -> Self {
        let text = error.to_string();
        match error {
            DownloadsError::LoggedOut => not_logged_in(text),
            DownloadsError::NotFound(_) => Self::new(ProblemKind::NotFound, text),
            DownloadsError::State { .. } => Self::new(ProblemKind::Conflict, text),
            DownloadsError::Invalid(_) => Self::invalid(text),
            DownloadsError::Database(DatabaseError::Full) => no_room(text),
            _ => Self::new(ProblemKind::Internal, text),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let text = error.to_string();
        match error {
            ReadError::LoggedOut(_) => not_logged_in(text),
            ReadError::NotFound(_) => Self::new(ProblemKind::NotFound, text),
            ReadError::NoSource(_) => Self::new(ProblemKind::Unavailable, text)
                .hint("try again when somebody who has it is online"),
            ReadError::Range { .. } => {
                Self::invalid(text).status(StatusCode::RANGE_NOT_SATISFIABLE)
            }
            ReadError::NoRoom(_) => no_room(text),
            ReadError::Changed => Self::new(ProblemKind::Conflict, text),
            _ => Self::new(ProblemKind::Internal, text).status(StatusCode::BAD_GATEWAY),
        }
    }
}

/// The disk is full.
fn no_room(text: String) -> Failure {
    Failure::new(ProblemKind::Unavailable, text).status(StatusCode::INSUFFICIENT_STORAGE)
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::invalid(error.to_string())
    }
}

fn not_logged_in(text: String) -> Failure {
    Failure::new(ProblemKind::NotLoggedIn, text).hint("log in, or make an account")
}

/// Of its own, so that whoever asks can offer to accept the new key.
fn key_changed(text: String) -> Failure {
    let mut failure = Failure::new(ProblemKind::Conflict, text).hint(
        "ask the index's operator whether its key was replaced; if so, log in and accept the new key",
    );
    failure.0.problem_type = KEY_CHANGED.into();
    failure
}
