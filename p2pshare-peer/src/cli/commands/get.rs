//! `get`.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use p2pshare_core::{
    swarm::DownloadError,
    text::visible,
    transfer::{Durability, RateLimit, TransferError},
};
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::PartialSources,
    cli::{
        args::GetArgs,
        context::Context,
        exit::{CliError, Exit},
        output::{bytes, count},
    },
    daemon::{DownloadServeOptions, DownloadServer},
    data_dir::DownloadLock,
    download::{
        DownloadOptions, FetchError, Fetched, JobEvent, JobProgress, JobReport, Locator,
        ResolveError, Serving, resolve, run,
    },
    publish::OwnPeer,
};

/// Uploads at a time of what is being downloaded.
const UPLOAD_SLOTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// How often the progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn get(
    context: &Context,
    args: GetArgs,
    cancel: &CancellationToken,
) -> Result<(), CliError> {
    let (session, client) = context.session_client()?;
    let wanted = resolve(&client, &args.what, args.output.as_deref()).await?;
    let files = wanted.len() as u64;

    let limit = rate(args.download_limit);
    let pool = Arc::new(context.peer_pool(args.insecure)?);
    let me = context.own_peer(&session, client)?;
    let served = match args.no_serve {
        true => None,
        false => Served::start(context, &me, &args)?,
    };
    let locator = Locator::new(me, pool, limit);
    let options = DownloadOptions {
        overwrite: args.overwrite,
        durability: if args.no_sync { Durability::None } else { Durability::Sync },
        patience: Duration::from_secs(args.wait),
        serving: served.as_ref().map(|served| served.serving.clone()),
        ..DownloadOptions::default()
    };
    let what = match wanted.as_slice() {
        [one] => one.target.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        _ => count(files, "file"),
    };
    let shown = context.output.progress(visible(&what).to_string(), None);
    let progress = JobProgress::default();
    let events = |event: JobEvent<'_>| show(context, &shown, files, &event);
    let job = Box::pin(run(locator, wanted, options, &progress, &events, cancel));
    let report = tokio::select! {
        report = job => report,
        () = follow(&progress, &shown) => unreachable!("it never ends"),
    };
    shown.finish();
    if let Some(served) = served {
        served.end().await;
    }
    conclude(context, files, report)
}

/// The server of what is downloaded, which runs beside the download.
struct Served {
    serving: Serving,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Others must not use its key meanwhile.
    _lock: DownloadLock,
}

impl Served {
    /// Starts it; `None` when too many commands download at the moment.
    fn start(context: &Context, me: &OwnPeer, args: &GetArgs) -> Result<Option<Self>, CliError> {
        let Some((key, lock)) = context.dir.download_key()? else { return Ok(None) };
        let sources = PartialSources::new();
        let server = DownloadServer::new(me.with_key(Arc::new(key)), sources.clone());
        let serving = Serving { sources, peer: server.peer() };
        let options = DownloadServeOptions {
            listen: args.listen,
            upload_slots: UPLOAD_SLOTS,
            upload_limit: rate(args.upload_limit),
            insecure: args.insecure,
        };
        let stop = CancellationToken::new();
        let (output, stopped) = (context.output, stop.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = Box::pin(server.run(options, stopped)).await {
                // The download goes on without.
                output.warn(format!(
                    "not serving what is downloaded: {}",
                    visible(&error.to_string())
                ));
            }
        });
        Ok(Some(Self { serving, stop, task, _lock: lock }))
    }

    async fn end(self) {
        self.stop.cancel();
        // If it has panicked there is nothing left to end.
        let _ = self.task.await;
    }
}

fn rate(bytes_per_second: Option<u64>) -> RateLimit {
    RateLimit::new(bytes_per_second.and_then(NonZeroU64::new))
}

/// Shows how far the job is, for ever.
async fn follow(progress: &JobProgress, shown: &crate::cli::output::Progress) {
    let mut tick = interval(SHOW_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if progress.total() > 0 {
            shown.set(progress.done(), progress.total());
        }
    }
}

fn show(context: &Context, shown: &crate::cli::output::Progress, files: u64, event: &JobEvent<'_>) {
    match event {
        JobEvent::Done(wanted, fetched) => {
            let mut resumed = 0;
            let (state, sources) = match fetched {
                Fetched::AlreadyThere => ("there", Vec::new()),
                Fetched::Empty => ("fetched", Vec::new()),
                Fetched::Small(from) => {
                    ("fetched", vec![json!({ "source": from.label, "bytes": wanted.size })])
                }
                Fetched::Pieces(report) => {
                    resumed = report.resumed;
                    let told = report.sources.iter().map(|source| {
                        json!({
                            "source": source.label,
                            "bytes": source.bytes,
                            "failure": source.failure.as_ref().map(ToString::to_string),
                        })
                    });
                    ("fetched", told.collect())
                }
            };
            let path = wanted.target.display().to_string();
            context.output.event(
                "file",
                json!({
                    "path": path,
                    "content": wanted.content,
                    "size": wanted.size,
                    "state": state,
                    "resumed_pieces": resumed,
                    "sources": sources,
                }),
            );
            if resumed > 0 {
                let pieces = count(resumed.into(), "piece");
                shown.note(format!(
                    "Went on where an earlier download stopped: {pieces} were there."
                ));
            }
            if files == 1 {
                let verb = if state == "there" { "Is there already:" } else { "Got" };
                context.output.line(format!("{verb} {} ({})", visible(&path), bytes(wanted.size)));
            }
        }
        JobEvent::Failed(wanted, error) => {
            let path = wanted.target.display().to_string();
            context.output.event(
                "failed",
                json!({ "path": path, "content": wanted.content, "error": error.to_string() }),
            );
            if files > 1 && !is_cancelled(error) {
                shown.warn(format!("{}: {}", visible(&path), visible(&error.to_string())));
            }
        }
    }
}

fn conclude(context: &Context, files: u64, report: JobReport) -> Result<(), CliError> {
    let failed = report.failed.len() as u64;
    context.output.event(
        "done",
        json!({ "fetched": report.fetched, "bytes": report.bytes, "there": report.there, "failed": failed }),
    );
    if files > 1 && report.fetched + report.there > 0 {
        let there = if report.there > 0 {
            format!(", {} were there already", report.there)
        } else {
            String::new()
        };
        context.output.line(format!(
            "Got {} ({}){there}.",
            count(report.fetched, "file"),
            bytes(report.bytes)
        ));
    }
    let mut failures = report.failed;
    if failures.is_empty() {
        return Ok(());
    }
    let resume = "run the same command again: it goes on where it stopped";
    if failures.iter().any(|(_, error)| is_cancelled(error)) {
        return Err(CliError::failed("stopped").hint(resume));
    }
    // Of several the gravest decides: wrong bytes before a source that is away.
    failures.sort_by_key(|(_, error)| match exit_of(error) {
        Exit::VerificationFailed => 0,
        Exit::NoSource => 2,
        Exit::NotFound => 3,
        _ => 1,
    });
    let (_, first) = failures.swap_remove(0);
    let exit = exit_of(&first);
    if files == 1 {
        let error = CliError::new(exit, first.to_string());
        return Err(match exit {
            Exit::NoSource => {
                error.hint("try again later, or wait for a source with --wait SECONDS")
            }
            Exit::Failed => error.hint(resume),
            _ => error,
        });
    }
    Err(CliError::new(exit, format!("{} of {files} failed", count(failed, "file"))).hint(resume))
}

fn is_cancelled(error: &FetchError) -> bool {
    matches!(error, FetchError::Download(DownloadError::Cancelled))
}

fn exit_of(error: &FetchError) -> Exit {
    match error {
        FetchError::NotFound(_) => Exit::NotFound,
        FetchError::Download(DownloadError::NoSources { .. }) => Exit::NoSource,
        FetchError::Download(DownloadError::AllFailed { causes }) => exit_of_causes(causes),
        _ => Exit::Failed,
    }
}

/// If any source lied it is worth knowing; if all were merely away or have it no more, that is it.
fn exit_of_causes(causes: &[(String, TransferError)]) -> Exit {
    if causes.iter().any(|(_, cause)| cause.is_lie()) {
        return Exit::VerificationFailed;
    }
    let away = |cause: &TransferError| {
        matches!(
            cause,
            TransferError::Unavailable(_)
                | TransferError::Stalled(_)
                | TransferError::NotFound(_)
                | TransferError::NotHeld(_)
        )
    };
    if causes.iter().all(|(_, cause)| away(cause)) { Exit::NoSource } else { Exit::Failed }
}

impl From<ResolveError> for CliError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Index(error) => error.into(),
            ResolveError::NotFound(_) => Self::new(Exit::NotFound, error.to_string())
                .hint("look for it with `search` or `browse`"),
            ResolveError::OtherIndex { ref link, .. } => {
                let hint = format!(
                    "log in there: p2pshare-peer --index '{}' login USER; or, if both are the same index: get {}",
                    link.index(),
                    link.content()
                );
                Self::new(Exit::NotLoggedIn, error.to_string()).hint(hint)
            }
            ResolveError::NotAFolder(_) => Self::new(Exit::Usage, error.to_string()),
        }
    }
}
