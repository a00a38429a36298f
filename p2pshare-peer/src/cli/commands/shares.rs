//! `shares`.

use p2pshare_core::text::visible;
use serde_json::json;

use super::{catalog::open_catalog, share::other_name};
use crate::cli::{
    context::Context,
    exit::CliError,
    output::{bytes, count},
};

pub(crate) async fn shares(context: &Context) -> Result<(), CliError> {
    let catalog = open_catalog(context).await?;
    let shares = catalog.shares().await?;
    if shares.is_empty() {
        context
            .output
            .note("Nothing is shared yet. Share something with: p2pshare-peer share PATH");
    }
    for share in shares {
        let totals = catalog.totals(share.id).await?;
        context.output.line(format!(
            "{}{}  {}, {}, {}{}{}{}{}",
            visible(&share.root.display().to_string()),
            other_name(&share),
            count(totals.files, "file"),
            bytes(totals.bytes),
            share.visibility,
            if share.watched { "" } else { ", not watched" },
            if share.online { "" } else { ", not there now" },
            match totals.excluded {
                0 => String::new(),
                some => format!(", {some} left out"),
            },
            match (&share.refused, totals.pending) {
                (None, _) | (_, 0) => String::new(),
                (_, all) if all == totals.files => ", not published".to_owned(),
                (_, some) => format!(", {some} not published"),
            },
        ));
        if let Some(reason) = &share.refused {
            context.output.line(format!("    {}", visible(reason)));
        }
        context.output.event(
            "share",
            json!({
                "root": share.root.display().to_string(),
                "name": share.name,
                "visibility": share.visibility,
                "hidden": share.hidden,
                "online": share.online,
                "watched": share.watched,
                "excluded": totals.excluded,
                "refused": share.refused,
                "unpublished": totals.pending,
                "files": totals.files,
                "bytes": totals.bytes,
            }),
        );
    }
    Ok(())
}
