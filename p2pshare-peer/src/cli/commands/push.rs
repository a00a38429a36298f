//! `push`.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use p2pshare_core::{text::visible, transfer::TransferError};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{
        args::PushArgs,
        context::Context,
        exit::{CliError, Exit},
        output::bytes,
        progress::Progress,
    },
    net::PushProgress,
    push::{PushError, pack, push as push_to},
};

const RESUME: &str = "run the same command again: it goes on where it stopped";

pub(crate) async fn push(
    context: &Context,
    args: PushArgs,
    cancel: &CancellationToken,
) -> Result<(), CliError> {
    let (session, client) = context.session_client()?;
    let me = context.own_peer(&session, client)?;
    let pool = context.peer_pool(args.insecure, None)?;

    let (there, sent) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = async {
        let parcel = pack(&args.file, show_hashing(context, &args.file)).await?;
        let size = parcel.manifest.len();
        let shown = context.output.progress(format!("Pushing {}", parcel.name), Some(size));
        let progress = show(&shown, size, &there, &sent);
        let pushed = push_to(&me, &pool, &parcel, &args.user, &progress).await?;
        Ok::<_, PushError>((parcel, pushed))
    };
    let Some(done) = cancel.run_until_cancelled(Box::pin(work)).await else {
        return Err(CliError::failed("stopped").hint(RESUME));
    };
    let (parcel, pushed) = done?;
    let (size, name) = (parcel.manifest.len(), pushed.name.to_string());
    let (sent, kept) = (sent.load(Relaxed), visible(&name));
    context.output.line(match (sent, size) {
        (0, 1..) => format!("{} has it already, as {kept}.", args.user),
        _ => format!("Pushed {} to {}, kept as {kept}.", bytes(size), args.user),
    });
    context.output.event(
        "pushed",
        json!({
            "user": args.user,
            "peer": pushed.peer,
            "content": parcel.manifest.id(),
            "size": size,
            "name": name,
            "sent": sent,
        }),
    );
    Ok(())
}

fn show_hashing(context: &Context, file: &Path) -> impl Fn(u64) + Send + Sync + 'static {
    let total = file.metadata().map_or(0, |metadata| metadata.len());
    let shown = Arc::new(context.output.progress("Hashing", Some(total)));
    let done = AtomicU64::new(0);
    move |bytes| shown.set(done.fetch_add(bytes, Relaxed).saturating_add(bytes), total)
}

fn show(
    shown: &Progress,
    total: u64,
    there: &AtomicU64,
    sent: &AtomicU64,
) -> impl Fn(PushProgress) + Send + Sync {
    move |progress| match progress {
        PushProgress::Queued { position } => {
            shown.message(&format!("(waiting, {position} before)"));
        }
        // What is not wanted is there already.
        PushProgress::Wanted { bytes } => {
            there.store(total.saturating_sub(bytes).saturating_sub(sent.load(Relaxed)), Relaxed);
            shown.set(there.load(Relaxed), total);
        }
        PushProgress::Sent { bytes } => {
            let sent = sent.fetch_add(bytes, Relaxed).saturating_add(bytes);
            shown.set(there.load(Relaxed).saturating_add(sent).min(total), total);
        }
    }
}

impl From<PushError> for CliError {
    fn from(error: PushError) -> Self {
        let (exit, hint) = match &error {
            PushError::Index(_) | PushError::Announce(_) => (Exit::Failed, None),
            PushError::NotFound(_) => (Exit::NotFound, None),
            PushError::NoPeer(_) => {
                (Exit::NoSource, Some("ask them to run: p2pshare-peer serve --inbox DIR"))
            }
            PushError::Failed { causes, .. } => {
                if causes.iter().any(|(_, cause)| matches!(cause, TransferError::Mismatch(_))) {
                    (Exit::VerificationFailed, None)
                } else if causes.iter().all(|(_, cause)| is_away(cause)) {
                    (Exit::NoSource, Some(RESUME))
                } else {
                    (Exit::Failed, None)
                }
            }
            _ => (Exit::Failed, None),
        };
        let message = error.to_string();
        match (error, hint) {
            (PushError::Index(error), _) => error.into(),
            (PushError::Announce(error), _) => error.into(),
            (_, Some(hint)) => Self::new(exit, message).hint(hint),
            (_, None) => Self::new(exit, message),
        }
    }
}

fn is_away(cause: &TransferError) -> bool {
    matches!(cause, TransferError::Unavailable(_) | TransferError::Stalled(_))
}
