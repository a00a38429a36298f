//! `status`.

use p2pshare_core::text::visible;
use serde_json::json;

use super::{catalog::open_catalog, running::Running};
use crate::cli::{context::Context, exit::CliError, output::count};

pub(crate) async fn status(context: &Context) -> Result<(), CliError> {
    let key = context.dir.peer_key()?;
    let catalog = open_catalog(context).await?;
    let (mut files, shares) = (0, catalog.shares().await?);
    let (mut refused, mut absent) = (Vec::new(), Vec::new());
    for share in &shares {
        let totals = catalog.totals(share.id).await?;
        if share.online {
            files += totals.files;
        } else {
            absent.push((&share.root, totals));
        }
        refused.extend(share.refused.as_ref().map(|why| (&share.name, totals, why)));
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
    for (name, totals, why) in &refused {
        let what = format!("{} of {name} not published: {why}", count(totals.pending, "file"));
        context.output.line(format!("         {}", visible(&what)));
    }
    for (root, totals) in &absent {
        let what = format!("{} of {} not there now", count(totals.files, "file"), root.display());
        context.output.line(format!("         {}", visible(&what)));
    }
    let session = context.session_client();
    let answer = match &session {
        Ok((_, client)) => Some(client.me().await),
        Err(_) => None,
    };
    let running = if served { Running::ask(context).await } else { None };
    let trouble = running.as_ref().and_then(|running| running.trouble.as_ref());
    let serving = match (served, trouble) {
        (true, Some(trouble)) => format!("yes, but others cannot find it: {}", visible(trouble)),
        (true, None) if running.as_ref().is_some_and(|running| running.account.is_none()) => {
            "yes, but nobody is logged in".to_owned()
        }
        (true, None) if running.as_ref().is_some_and(|running| !running.online) => {
            "yes, but others cannot find it yet".to_owned()
        }
        // It notices with its next heartbeat.
        (true, None) if matches!(&answer, Some(Err(error)) if error.is_logged_out()) => {
            "yes, but the session has ended: others can soon not find it".to_owned()
        }
        (true, None) => "yes".to_owned(),
        (false, _) => "no (run `p2pshare-peer serve`)".to_owned(),
    };
    context.output.line(format!("Serving: {serving}"));
    let mut report = json!({
        "peer": key.peer_id(),
        "data_dir": context.dir.path().display().to_string(),
        "shares": shares.len(),
        "files": files,
        "unpublished": pending,
        "refused": refused.len(),
        "absent": absent.len(),
        "serving": served,
        "online": running.as_ref().map(|running| running.online),
        "trouble": trouble,
        "index": null,
        "username": null,
        "session": null,
    });

    match &session {
        Ok((session, client)) => {
            context.output.line(format!("Index:   {} as {}", client.url(), session.username));
            report["index"] = client.url().to_string().into();
            report["username"] = session.username.to_string().into();
        }
        Err(error) => context.output.line(format!("Index:   {}", error.message)),
    }
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
