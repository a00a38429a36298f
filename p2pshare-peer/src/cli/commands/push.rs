//! `push`.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use p2pshare_core::{
    api::PushGrantRequest,
    content::{HashError, Manifest, hash_file},
    path::SharePath,
    text::visible,
    transfer::{FileSource, FileStamp, ReadOptions, SharedFile, TransferError},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{
        args::PushArgs,
        context::Context,
        exit::{CliError, Exit},
        output::bytes,
    },
    net::{GrantProvider, GrantRequest, PushProgress, PushProposal},
};

pub(crate) async fn push(
    context: &Context,
    args: PushArgs,
    cancel: &CancellationToken,
) -> Result<(), CliError> {
    let (session, client) = context.session_client()?;
    let own = context.own_peer(&session, client.clone())?;
    let name = proposed_name(&args.file)?;
    let (manifest, stamp) = hash(context, &args.file, cancel).await?;

    own.make_known().await?;
    let request =
        PushGrantRequest { user: args.user.clone(), content: manifest.id(), peer: Some(own.id()) };
    let granted = client.push_grants(&request).await?;
    if granted.peers.is_empty() {
        return Err(CliError::new(Exit::NoSource, format!("no peer of {} is online", args.user))
            .hint("ask them to run: p2pshare-peer serve --inbox DIR"));
    }

    let source = FileSource::new(ReadOptions::default());
    source.insert(SharedFile { path: args.file.clone(), manifest: manifest.clone(), stamp });
    let pool = context.peer_pool(args.insecure)?;
    let proposal = PushProposal { name, manifest: manifest.clone() };
    let shown = context.output.progress(format!("Pushing {}", proposal.name), Some(manifest.len()));
    let mut causes = Vec::new();
    for target in granted.peers {
        let peer = pool.peer(target.peer, target.addresses);
        let progress = show(&shown, manifest.len());
        let grant = OneGrant(target.grant);
        let push = peer.push(&proposal, &source, &grant, &progress);
        let Some(pushed) = cancel.run_until_cancelled(Box::pin(push)).await else {
            return Err(CliError::failed("stopped")
                .hint("run the same command again: it goes on where it stopped"));
        };
        match pushed {
            Ok(kept) => {
                shown.finish();
                let kept = kept.to_string();
                context.output.line(format!(
                    "Pushed {} to {}, kept as {}.",
                    bytes(manifest.len()),
                    args.user,
                    visible(&kept)
                ));
                context.output.event(
                    "pushed",
                    json!({ "user": args.user, "content": manifest.id(), "size": manifest.len(), "name": kept }),
                );
                return Ok(());
            }
            Err(error) => causes.push((target.peer, error)),
        }
    }
    shown.finish();
    Err(conclude(&args, &causes))
}

/// The grant of the index for one peer.
struct OneGrant(String);

#[async_trait]
impl GrantProvider for OneGrant {
    async fn grant(&self, _: &GrantRequest) -> Result<String, TransferError> {
        Ok(self.0.clone())
    }
}

fn proposed_name(file: &Path) -> Result<SharePath, CliError> {
    let name = file.file_name().map(Path::new).unwrap_or(file);
    let sanitized = SharePath::sanitize(name).map_err(|error| {
        CliError::new(
            Exit::Usage,
            format!("{} cannot be named for others: {error}", file.display()),
        )
    })?;
    Ok(sanitized.path)
}

/// Hashes the file with all cores.
async fn hash(
    context: &Context,
    file: &Path,
    cancel: &CancellationToken,
) -> Result<(Manifest, FileStamp), CliError> {
    let opened = File::open(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            CliError::new(Exit::NotFound, format!("{} does not exist", file.display()))
        }
        _ => unreadable(file, &error),
    })?;
    let metadata = opened.metadata().map_err(|error| unreadable(file, &error))?;
    let (len, stamp) = (metadata.len(), FileStamp::of(&metadata));
    let shown = context
        .output
        .progress(format!("Hashing {}", visible(&file.display().to_string())), Some(len));
    let stop = Arc::new(AtomicBool::new(false));
    let hashing = tokio::task::spawn_blocking({
        let stop = stop.clone();
        move || {
            let done = AtomicU64::new(0);
            let progress = |bytes: u64| shown.set(done.fetch_add(bytes, Relaxed) + bytes, len);
            hash_file(&opened, None, &progress, &stop)
        }
    });
    let hashed = match cancel.run_until_cancelled(hashing).await {
        Some(hashed) => hashed.map_err(CliError::failed)?,
        None => {
            stop.store(true, Relaxed);
            Err(HashError::Cancelled)
        }
    };
    let manifest =
        hashed.map_err(|error| CliError::failed(format!("{}: {error}", file.display())))?;
    Ok((manifest, stamp))
}

fn show(shown: &crate::cli::output::Progress, total: u64) -> impl Fn(PushProgress) + Send + Sync {
    let wanted = AtomicU64::new(total);
    let sent = AtomicU64::new(0);
    move |progress| match progress {
        PushProgress::Queued { position } => {
            shown.message(&format!("(waiting, {position} before)"))
        }
        // What is not wanted is there already.
        PushProgress::Wanted { bytes } => {
            wanted.store(bytes, Relaxed);
            shown.set(total.saturating_sub(bytes), total);
        }
        PushProgress::Sent { bytes } => {
            let sent = sent.fetch_add(bytes, Relaxed).saturating_add(bytes);
            let there = total.saturating_sub(wanted.load(Relaxed));
            shown.set(there.saturating_add(sent).min(total), total);
        }
    }
}

fn conclude(
    args: &PushArgs,
    causes: &[(p2pshare_core::identity::PeerId, TransferError)],
) -> CliError {
    let told: Vec<_> =
        causes.iter().map(|(peer, error)| format!("{}: {error}", peer.short())).collect();
    let away = |error: &TransferError| {
        matches!(error, TransferError::Unavailable(_) | TransferError::Stalled(_))
    };
    let exit = if causes.iter().any(|(_, error)| matches!(error, TransferError::Mismatch(_))) {
        Exit::VerificationFailed
    } else if causes.iter().all(|(_, error)| away(error)) {
        Exit::NoSource
    } else {
        Exit::Failed
    };
    let error =
        CliError::new(exit, format!("pushing to {} failed: {}", args.user, told.join("; ")));
    match exit {
        Exit::NoSource => {
            error.hint("run the same command again later: it goes on where it stopped")
        }
        _ => error,
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> CliError {
    CliError::failed(format!("{} cannot be read: {error}", file.display()))
}
