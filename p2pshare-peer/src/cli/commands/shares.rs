//! `shares`.

use p2pshare_core::text::visible;
use serde_json::json;

use super::{catalog::open_catalog, share::other_name};
use crate::{
    catalog::Share,
    cli::{
        context::Context,
        exit::CliError,
        output::{bytes, count},
    },
    share::SkipReason,
};

/// Whether a folder lies where a file was shared, or the other way round.
fn is_other_kind(share: &Share) -> bool {
    let found = share.root.metadata();
    share.is_file.is_some_and(|is_file| found.is_ok_and(|found| found.is_dir() == is_file))
}

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
            match (share.online, is_other_kind(&share)) {
                (false, _) => ", not there now",
                (true, true) => ", not shared",
                (true, false) => "",
            },
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
        if share.online && is_other_kind(&share) {
            context.output.line(format!("    {}", SkipReason::OtherKind));
        }
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
                "other_kind": is_other_kind(&share),
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
