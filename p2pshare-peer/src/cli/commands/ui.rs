//! `ui`.

use std::process::{Command, Stdio};

use p2pshare_core::api::ProblemKind;
use serde::Deserialize;
use serde_json::json;

use crate::{
    cli::{
        args::UiArgs,
        context::Context,
        exit::{CliError, Exit},
    },
    local::client::{LocalClient, LocalClientError},
};

/// What opens an address in the user's browser.
#[cfg(target_os = "macos")]
const OPENER: &str = "open";
#[cfg(not(target_os = "macos"))]
const OPENER: &str = "xdg-open";

#[derive(Deserialize)]
struct UiToken {
    url: String,
}

pub(crate) async fn ui(context: &Context, args: UiArgs) -> Result<(), CliError> {
    let node = running(context)?;
    let UiToken { url } = node.post("/ui-token", None::<&()>).await?;
    context.output.line(&url);
    context.output.event("ui", json!({ "url": url }));
    if args.open {
        let opened = Command::new(OPENER)
            .arg(&url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Err(error) = opened {
            return Err(CliError::failed(format!("starting {OPENER} failed: {error}"))
                .hint("open the address yourself"));
        }
    }
    Ok(())
}

/// The peer that runs for this data directory.
pub(crate) fn running(context: &Context) -> Result<LocalClient, CliError> {
    LocalClient::find(&context.dir)?.ok_or_else(|| {
        CliError::failed("no peer with a page runs from this data directory")
            .hint("start it with `p2pshare-peer serve`; one that runs with --ui off has no page")
    })
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
