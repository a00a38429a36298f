//! How a command ends: its exit code, its error and what to do next.

use std::fmt;

use p2pshare_core::api::ProblemKind;

use crate::{
    account::SavedSessionError, data_dir::DataDirError, index_client::ClientError,
    known_index::PinError, session::SessionError,
};

/// What to do when an index shows a strange key.
const KEY_CHANGED: &str =
    "ask the index's operator whether its key was replaced; if so, log in with --accept-new-key";

/// Exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// Not logged in.
    NotLoggedIn = 3,
    /// Not found.
    NotFound = 4,
    /// No source is online.
    NoSource = 5,
    /// What came was not what was asked for.
    VerificationFailed = 6,
}

/// Why a command failed.
#[derive(Debug)]
pub struct CliError {
    /// The exit code.
    pub exit: Exit,
    /// What happened to what, and why.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl CliError {
    /// An error with this exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// An error without a code of its own.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, message.to_string())
    }

    /// The same with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let exit = match error.kind() {
            Some(
                ProblemKind::NotLoggedIn
                | ProblemKind::WrongCredentials
                | ProblemKind::AccountDisabled,
            ) => Exit::NotLoggedIn,
            Some(ProblemKind::NotFound) => Exit::NotFound,
            _ => Exit::Failed,
        };
        let hint = match error.kind() {
            Some(ProblemKind::NotLoggedIn) => Some("run `p2pshare-peer login USER`".to_owned()),
            _ => error.hint().map(str::to_owned),
        };
        Self { exit, message: error.to_string(), hint }
    }
}

impl From<SavedSessionError> for CliError {
    fn from(error: SavedSessionError) -> Self {
        let exit = match error {
            SavedSessionError::None | SavedSessionError::Damaged(_) => Exit::NotLoggedIn,
            SavedSessionError::DataDir(_) => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<DataDirError> for CliError {
    fn from(error: DataDirError) -> Self {
        Self::failed(error)
    }
}

impl From<SessionError> for CliError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Index(error) => error.into(),
            SessionError::Saved(error) => error.into(),
            SessionError::DataDir(error) => error.into(),
            SessionError::Pin(PinError::Changed { .. }) => Self::failed(error).hint(KEY_CHANGED),
            other => Self::failed(other),
        }
    }
}
