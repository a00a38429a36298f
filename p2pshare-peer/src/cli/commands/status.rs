//! `status`.

use p2pshare_core::text::visible;
use serde_json::json;

use super::share::open_catalog;
use crate::cli::{context::Context, exit::CliError, output::count};

pub(crate) async fn status(context: &Context) -> Result<(), CliError> {
    let key = context.dir.peer_key()?;
    let catalog = open_catalog(context).await?;
    let (mut files, shares) = (0, catalog.shares().await?);
    for share in &shares {
        files += catalog.totals(share.id).await?.files;
    }
    let pending = catalog.pending_count().await?;
    let served = context.dir.is_served()?;

    context.output.line(format!("Peer:    {}", key.peer_id()));
    context.output.line(format!("Data:    {}", visible(&context.dir.path().display().to_string())));
    context.output.line(format!(
        "Shares:  {}, {}",
        count(shares.len() as u64, "share"),
        count(files, "file")
    ));
    context.output.line(format!(
        "Serving: {}",
        if served { "yes" } else { "no (run `p2pshare-peer serve`)" }
    ));
    let mut report = json!({
        "peer": key.peer_id(),
        "data_dir": context.dir.path().display().to_string(),
        "shares": shares.len(),
        "files": files,
        "unpublished": pending,
        "serving": served,
    });

    let session = context.session_client();
    match &session {
        Ok((session, client)) => {
            context.output.line(format!("Index:   {} as {}", client.url(), session.username));
            report["index"] = client.url().to_string().into();
            report["username"] = session.username.to_string().into();
        }
        Err(error) => context.output.line(format!("Index:   {}", error.message)),
    }
    let answer = match &session {
        Ok((_, client)) => Some(client.me().await),
        Err(_) => None,
    };
    if let Some(answer) = &answer {
        let text = match answer {
            Ok(_) => "valid".to_owned(),
            Err(error) => error.to_string(),
        };
        context.output.line(format!("Session: {}", visible(&text)));
        report["session"] = text.into();
    }
    context.output.event("status", report);
    match answer {
        Some(Err(error)) => Err(error.into()),
        _ => Ok(()),
    }
}
