//! The peer that runs for the data directory, as other commands talk to it.

use p2pshare_core::api::ProblemKind;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    account::SavedSession,
    cli::{
        context::Context,
        exit::{CliError, Exit},
    },
    data_dir::DataDir,
    local::client::{LocalClient, LocalClientError},
};

const NO_BODY: Option<&()> = None;

/// How the running peer is, as it tells itself.
#[derive(Debug, Deserialize)]
pub(super) struct Running {
    /// Whether the index takes it for online.
    pub(super) online: bool,
    /// What is wrong at the moment.
    pub(super) trouble: Option<String>,
    /// Why the session that it had is over.
    ended: Option<String>,
    /// Who is logged in.
    pub(super) account: Option<IgnoredAny>,
}

impl Running {
    /// Asks the peer that runs for this data directory; `None` if none can be asked.
    pub(super) async fn ask(context: &Context) -> Option<Self> {
        LocalClient::find(&context.dir).ok()??.get("/state").await.ok()
    }
}

/// The peer that runs for this data directory.
pub(super) fn running(context: &Context) -> Result<LocalClient, CliError> {
    if let Some(node) = LocalClient::find(&context.dir)? {
        return Ok(node);
    }
    Err(match context.dir.is_served()? {
        true => CliError::failed("the peer that runs cannot be talked to")
            .hint("one that runs with --ui off cannot; restart it without"),
        false => CliError::failed("`p2pshare-peer serve` does not run with this data directory")
            .hint("start it: p2pshare-peer serve"),
    })
}

/// The peer that runs for this data directory, in the name of whoever is logged in.
pub(super) async fn logged_in(context: &Context) -> Result<LocalClient, CliError> {
    let node = running(context)?;
    let state: Running = node.post("/settle", NO_BODY).await?;
    if state.account.is_some() {
        return Ok(node);
    }
    let session = SavedSession::load(&context.dir)?;
    if state.ended.is_none()
        && let Some(trouble) = state.trouble
    {
        return Err(CliError::failed(format!("the running peer is not online: {trouble}")));
    }
    Err(CliError::new(
        Exit::NotLoggedIn,
        format!("the session of {} has ended: what it downloads waits", session.username),
    )
    .hint(format!("log in again: p2pshare-peer login {}", session.username)))
}

/// Lets a peer that runs for this data directory see that somebody has logged in or out, so that the next command meets
/// it as it is then.
pub(super) async fn settle(dir: &DataDir) {
    if let Ok(Some(node)) = LocalClient::find(dir)
        && let Err(error) = node.post::<IgnoredAny>("/settle", NO_BODY).await
    {
        tracing::debug!(%error, "the running peer finds out by itself");
    }
}

impl From<LocalClientError> for CliError {
    fn from(error: LocalClientError) -> Self {
        let LocalClientError::Problem(problem) = &error else { return Self::failed(error) };
        let exit = match problem.kind() {
            Some(ProblemKind::NotLoggedIn | ProblemKind::AccountDisabled) => Exit::NotLoggedIn,
            Some(ProblemKind::NotFound) => Exit::NotFound,
            _ => Exit::Failed,
        };
        let failed = Self::new(exit, problem.detail.clone());
        match &problem.hint {
            Some(hint) => failed.hint(hint.clone()),
            None => failed,
        }
    }
}
