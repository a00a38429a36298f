//! `push`.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use p2pshare_core::{identity::Username, text::visible};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{
        args::PushArgs,
        context::Context,
        exit::{CliError, Exit},
        output::{bytes, count, one_line},
        progress::Progress,
        values::rate,
    },
    net::{PeerPool, PushProgress},
    publish::OwnPeer,
    push::{
        Pace, Parcel, PushError, PushEvent, PushReport, Pushed, pack, push as push_to, push_all,
    },
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
    let pace = Pace { limit: rate(args.upload_limit), uploads: None };
    let work = async {
        match args.paths.as_slice() {
            [file] if !file.is_dir() => one(context, &me, &pool, file, &args.user, &pace).await,
            paths => many(context, &me, &pool, paths, &args.user, &pace).await,
        }
    };
    let done = cancel.run_until_cancelled(Box::pin(work)).await;
    done.unwrap_or_else(|| Err(CliError::failed("stopped").hint(RESUME)))
}

async fn one(
    context: &Context,
    me: &OwnPeer,
    pool: &PeerPool,
    file: &Path,
    user: &Username,
    pace: &Pace,
) -> Result<(), CliError> {
    let (there, sent) = (AtomicU64::new(0), AtomicU64::new(0));
    let parcel = pack(file, show_hashing(context, file)).await?;
    let size = parcel.manifest.len();
    let pushed = {
        let shown = context.output.progress(format!("Pushing {}", parcel.name), Some(size));
        let progress = show(&shown, size, &there, &sent);
        shown.while_doing(push_to(me, pool, &parcel, user, pace, &progress)).await?
    };
    let (sent, kept) = (sent.into_inner(), visible(pushed.name.as_str()));
    context.output.line(match (sent, size) {
        (0, 1..) => format!("{user} has it already, as {kept}."),
        _ => format!("Pushed {} to {user}, kept as {kept}.", bytes(size)),
    });
    tell(context, user, &parcel, &pushed, sent);
    Ok(())
}

fn tell(context: &Context, user: &Username, parcel: &Parcel, pushed: &Pushed, sent: u64) {
    context.output.event(
        "pushed",
        json!({
            "user": user,
            "peer": pushed.peer,
            "content": parcel.manifest.id(),
            "size": parcel.manifest.len(),
            "name": pushed.name,
            "sent": sent,
        }),
    );
}

async fn many(
    context: &Context,
    me: &OwnPeer,
    pool: &PeerPool,
    paths: &[PathBuf],
    user: &Username,
    pace: &Pace,
) -> Result<(), CliError> {
    let shown = context.output.progress("Pushing", None);
    let total = AtomicU64::new(0);
    let events = |event: PushEvent<'_>| match event {
        PushEvent::Counted { bytes, .. } => {
            total.store(bytes, Relaxed);
            shown.set(0, bytes);
        }
        PushEvent::Skipped(path, reason) => {
            shown.warn(format!("{} is left out: {reason}", visible(&path.display().to_string())));
        }
        PushEvent::Begun(path) => {
            shown.message(&path.file_name().unwrap_or_default().to_string_lossy());
        }
        PushEvent::Moved { done } => {
            let total = total.load(Relaxed);
            shown.set(done.min(total), total);
        }
        PushEvent::Pushed { parcel, pushed, sent } => tell(context, user, parcel, pushed, sent),
        PushEvent::Failed(path, error) => {
            let (path, error) = (path.display().to_string(), error.to_string());
            shown.warn(format!("{}: {}", visible(&path), one_line(&error)));
            context.output.event("failed", json!({ "path": path, "error": error }));
        }
    };
    let pushing = push_all(me, pool, paths, &context.dir, user, pace, &events);
    let (report, ended) = shown.while_doing(pushing).await;
    shown.finish();
    let PushReport { pushed, there, bytes: size, sent, failed, mismatched, skipped } = report;
    if pushed > 0 {
        let also = match there {
            0 => String::new(),
            there => format!(", {there} of them were there already"),
        };
        let what = format!("{} ({})", count(pushed, "file"), bytes(size));
        context.output.line(format!("Pushed {what} to {user}{also}."));
    }
    context.output.event(
        "done",
        json!({
            "pushed": pushed, "there": there, "bytes": size, "sent": sent, "failed": failed, "skipped": skipped,
        }),
    );
    ended?;
    if failed > 0 {
        let exit = if mismatched > 0 { Exit::VerificationFailed } else { Exit::Failed };
        return Err(CliError::new(exit, format!("{} failed", count(failed, "file"))).hint(RESUME));
    }
    match pushed {
        0 => Err(CliError::new(Exit::NotFound, "there is no file in it that can be pushed")),
        _ => Ok(()),
    }
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
            error if error.is_mismatch() => (Exit::VerificationFailed, None),
            error if error.is_away() => (Exit::NoSource, Some(RESUME)),
            _ => (Exit::Failed, None),
        };
        let message = error.to_string();
        match (error, hint) {
            (PushError::Index(error), _) => error.into(),
            (PushError::Announce(error), _) => error.into(),
            (PushError::Listed(error), _) => error.into(),
            (_, Some(hint)) => Self::new(exit, message).hint(hint),
            (_, None) => Self::new(exit, message),
        }
    }
}
