//! What can go wrong between the store and its servers.

use mongodb::error::{
    Error, ErrorKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR,
    UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use crate::index::store::StoreError;

/// What a call to the database answers with.
pub(in crate::backend::mongodb) type MongoResult<T> = Result<T, MongoError>;

/// What a call to the database can fail with.
#[derive(Debug, thiserror::Error)]
pub(in crate::backend::mongodb) enum MongoError {
    /// The driver or a server failed.
    #[error("{}", without_details(.0))]
    Driver(Box<Error>),
    /// The URI is none, or the servers are not what the store needs.
    #[error("{0}")]
    Refused(String),
    /// A document holds what it must not hold.
    #[error("the database holds what this program cannot have written: {0}")]
    Corrupt(String),
    /// A newer program wrote the database.
    #[error("schema version {found} is newer than {known}")]
    NewerSchema { found: u32, known: u32 },
    /// A server could not do all of a batch.
    #[error("a batch of writes was not done: {0}")]
    Unwritten(String),
    /// No answer in time.
    #[error("no answer within {0} s")]
    Silent(u64),
}

/// Codes of servers that are no primary, not yet or not any more, or have no snapshot or no time just now.
const PASSING: &[i32] = &[
    6, 7, 50, 64, 89, 91, 112, 134, 189, 202, 239, 246, 251, 262, 317, 358, 9001, 10058, 10107,
    11600, 11602, 13388, 13435, 13436, 24,
];

impl MongoError {
    pub(in crate::backend::mongodb) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }

    /// Whether a transaction left nothing behind and may succeed when it is done again.
    pub(super) fn may_begin_again(&self) -> bool {
        matches!(self, Self::Driver(error) if error.contains_label(TRANSIENT_TRANSACTION_ERROR))
    }

    /// Whether nobody knows if a transaction was committed.
    pub(super) fn is_unknown_commit(&self) -> bool {
        matches!(self, Self::Driver(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT))
    }

    /// Whether no server that could answer was found in the time that there is for that.
    pub(super) fn found_no_server(&self) -> bool {
        matches!(self, Self::Driver(error) if matches!(*error.kind, ErrorKind::ServerSelection { .. }))
    }

    /// Whether the same call may succeed later.
    pub(super) fn is_passing(&self) -> bool {
        let Self::Driver(error) = self else {
            return matches!(self, Self::Silent(_) | Self::Unwritten(_));
        };
        let labelled =
            [TRANSIENT_TRANSACTION_ERROR, RETRYABLE_WRITE_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT]
                .into_iter()
                .any(|label| error.contains_label(label));
        labelled
            || match &*error.kind {
                ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
                | ErrorKind::ServerSelection { .. }
                | ErrorKind::DnsResolve { .. }
                | ErrorKind::Shutdown => true,
                _ => code(error).is_some_and(|code| PASSING.contains(&code)),
            }
    }

    /// Whether a document of this id, or of another unique key, is there already.
    pub(in crate::backend::mongodb) fn is_duplicate(&self) -> bool {
        matches!(self, Self::Driver(error) if code(error) == Some(11000))
    }
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        ErrorKind::InsertMany(error) => error
            .write_errors
            .as_ref()
            .and_then(|errors| errors.first())
            .map(|error| error.code)
            .or_else(|| error.write_concern_error.as_ref().map(|error| error.code)),
        _ => None,
    }
}

/// What happened, without the values that a server repeats: keys that are there twice are names and hashes of users.
fn without_details(error: &Error) -> String {
    match code(error) {
        Some(11000) => "a key is there already".to_owned(),
        _ => error.kind.to_string(),
    }
}

impl From<Error> for MongoError {
    fn from(error: Error) -> Self {
        Self::Driver(Box::new(error))
    }
}

impl From<MongoError> for StoreError {
    fn from(error: MongoError) -> Self {
        match error {
            MongoError::NewerSchema { found, known } => Self::NewerSchema { found, known },
            error if error.is_passing() => Self::Unavailable(Box::new(error)),
            error => Self::Failed(Box::new(error)),
        }
    }
}
