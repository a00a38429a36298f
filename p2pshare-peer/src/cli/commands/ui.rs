//! `ui`.

use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::json;

use super::running::running;
use crate::cli::{args::UiArgs, context::Context, exit::CliError};

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
