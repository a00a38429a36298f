//! `get`: by the running peer if there is one, else here.

mod found;
mod handed;
mod stream;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use p2pshare_core::{
    swarm::DownloadError,
    text::visible,
    transfer::{Durability, ReadOptions},
};
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use self::found::{find_two, goes_into_folder};
use super::{catalog::open_catalog, choose::targets, serve::lan};
use crate::{
    catalog::{CatalogSource, PartialSources},
    cli::{
        args::GetArgs,
        context::Context,
        exit::{CliError, Exit},
        output::{bytes, count, one_line},
        values::rate,
    },
    daemon::{DownloadServeOptions, DownloadServer, UPLOADS},
    data_dir::DownloadLock,
    download::{
        Cause, DownloadOptions, FetchError, Fetched, JobEvent, JobProgress, JobReport, Locator,
        Serving, resolve, run,
    },
    index_keys::IndexKeysError,
    local::client::LocalClient,
    publish::OwnPeer,
};

/// So long the index may take to say which keys it has, after a download has failed.
const KEYS_PATIENCE: Duration = Duration::from_secs(3);

/// As an output: to standard output.
const STDOUT: &str = "-";

/// What to do when nobody is online who has it.
const TRY_LATER: &str = "try again later, or wait for a source with --wait SECONDS";

/// What to do when a download stopped half way.
const RESUME: &str = "run the same command again: it goes on where it stopped";

/// What to do when files were changed while they came.
const CHANGED: &str =
    "run the same command again for what they are now: it goes on with what is still the same";

/// What to do when the session ended half way.
const LOG_IN: &str = "log in with `p2pshare-peer login USER`, then run the same command again: it goes on where it \
                      stopped";

/// What to do about sources that have other bytes than they say.
const REHASH: &str =
    "whoever shares it can find out what has become of it with: p2pshare-peer share --rehash";

/// What to do when the place where files are to go does not take some of them.
const CLEAR_WAY: &str =
    "mend what is said above, then run the same command again: it goes on where it stopped";

/// So many files that failed are told one by one.
const TOLD: u64 = 20;

/// How often the progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn get(
    context: &Context,
    args: GetArgs,
    cancel: &CancellationToken,
) -> Result<(), CliError> {
    let (session, client) = context.session_client()?;
    let what = targets(context, &client, &args.what).await?;
    let node = match must_be_here(&args) {
        true => None,
        false => LocalClient::find(&context.dir)?,
    };
    if args.output.as_deref() == Some(Path::new(STDOUT)) {
        if args.detach {
            let wrong = "nothing is written to standard output in the background";
            return Err(CliError::new(Exit::Usage, wrong).hint("leave out --detach, or `-o -`"));
        }
        let me = context.own_peer(&session, client)?;
        return Box::pin(stream::get(context, args, &what, me, node, cancel)).await;
    }
    let node = match node {
        Some(node) => {
            // It lists all by itself.
            let found = cancel.run_until_cancelled(find_two(&client, &what)).await;
            let several = found.ok_or_else(stopped)??.len() > 1;
            if goes_into_folder(args.output.as_deref(), several) {
                return Box::pin(handed::get(context, args, &what, node, cancel)).await;
            }
            Some(node)
        }
        None => None,
    };
    let resolved = resolve(&client, &what, args.output.as_deref());
    let wanted = cancel.run_until_cancelled(resolved).await.ok_or_else(stopped)??;
    // The running peer knows folders alone: what gets a name of its own is done here.
    let is_named = matches!(wanted.as_slice(), [one] if Some(&one.target) == args.output.as_ref());
    if let Some(node) = node.filter(|_| !is_named) {
        return Box::pin(handed::get(context, args, &what, node, cancel)).await;
    }
    if args.detach && is_named {
        return Err(CliError::new(Exit::Usage, "in the background files keep their names")
            .hint("name a folder with -o, with / at its end if it is not there yet, or leave out --detach"));
    }
    if args.detach && must_be_here(&args) {
        return Err(CliError::new(Exit::Usage, "the running peer downloads as its own options say")
            .hint("leave out --detach, or what is asked of this download alone, such as a limit or --no-sync"));
    }
    if args.detach {
        return Err(CliError::failed("`p2pshare-peer serve` does not run, which could do it")
            .hint("start it, or leave out --detach"));
    }
    let files = wanted.len() as u64;

    let limit = rate(args.download_limit);
    // With an index on this machine so are the peers.
    let is_alone = args.no_lan || args.insecure || client.url().is_local();
    let lan = (!is_alone).then(lan).flatten();
    let pool = Arc::new(context.peer_pool(args.insecure, lan)?);
    let me = context.own_peer(&session, client)?;
    let served = match args.no_serve {
        true => None,
        false => Served::start(context, &me, &args)?,
    };
    let own = match context.dir.catalog().exists() {
        true => {
            let catalog = open_catalog(context).await?;
            Some(CatalogSource::new(catalog, ReadOptions::default()).0.own())
        }
        false => None,
    };
    let locator = Locator::with_own(me.clone(), pool, limit, own);
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
    let told = AtomicU64::new(0);
    let events = |event: JobEvent<'_>| show(context, &shown, files, &told, &event);
    let job = Box::pin(run(locator, wanted, options, &progress, &events, cancel));
    let report = tokio::select! {
        report = job => report,
        () = follow(&progress, &shown) => unreachable!("it never ends"),
    };
    shown.finish();
    if let Some(served) = served {
        served.end().await;
    }
    let ended = conclude(context, files, args.wait, report);
    // Grants of an index with other keys open nothing, and neither waiting nor trying again helps.
    let asked = timeout(KEYS_PATIENCE, me.index_keys().refresh(me.client()));
    if ended.is_err()
        && !cancel.is_cancelled()
        && let Ok(Err(changed @ IndexKeysError::Changed)) = asked.await
    {
        return Err(changed.into());
    }
    ended
}

fn stopped() -> CliError {
    CliError::failed("stopped")
}

/// The running peer downloads as its own options say: whoever says otherwise wants it done here. It is told paths as
/// text.
fn must_be_here(args: &GetArgs) -> bool {
    args.here
        || args.no_serve
        || args.no_sync
        || args.insecure
        || args.listen.is_some()
        || args.download_limit.is_some()
        || args.upload_limit.is_some()
        || args.output.as_deref().is_some_and(|output| output.to_str().is_none())
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
            upload_slots: UPLOADS,
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

/// Shows how far the job is, for ever.
async fn follow(progress: &JobProgress, shown: &crate::cli::progress::Progress) {
    let mut tick = interval(SHOW_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if progress.total() > 0 {
            shown.set_moved(progress.done(), progress.total(), progress.moved());
        }
    }
}

fn show(
    context: &Context,
    shown: &crate::cli::progress::Progress,
    files: u64,
    told: &AtomicU64,
    event: &JobEvent<'_>,
) {
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
                shown.note(format!("Only the rest was fetched: {pieces} were there already."));
            }
            if files == 1 {
                let verb = if state == "there" { "Is there already:" } else { "Got" };
                shown.line(format!("{verb} {} ({})", visible(&path), bytes(wanted.size)));
            }
        }
        JobEvent::Failed(wanted, error) => {
            let path = wanted.target.display().to_string();
            context.output.event(
                "failed",
                json!({
                    "path": path,
                    "content": wanted.content,
                    "error": error.to_string(),
                    "cause": Cause::from(*error),
                }),
            );
            // Programs have been told.
            let for_people = files > 1 && !is_cancelled(error) && !context.output.is_json();
            if for_people && told.fetch_add(1, Relaxed) < TOLD {
                shown.warn(format!("{}: {}", visible(&path), one_line(&error.to_string())));
            }
        }
    }
}

fn conclude(context: &Context, files: u64, waited: u64, report: JobReport) -> Result<(), CliError> {
    let failed = report.failed.len() as u64;
    let untried = report.untried;
    context.output.event(
        "done",
        json!({
            "fetched": report.fetched,
            "bytes": report.bytes,
            "there": report.there,
            "failed": failed + untried,
            "untried": untried,
        }),
    );
    if failed > TOLD && !context.output.is_json() {
        context
            .output
            .warn(format!("and {} more: --json names all of them", count(failed - TOLD, "file")));
    }
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
    if failures.iter().any(|(_, error)| is_cancelled(error)) {
        return Err(CliError::failed("stopped").hint(RESUME));
    }
    failures.sort_by_key(|(_, error)| std::cmp::Reverse(Cause::from(error).gravity()));
    let (wanted, first) = failures.swap_remove(0);
    let cause = Cause::from(&first);
    let exit = exit_of(cause);
    if files == 1 {
        let error = CliError::new(exit, first.to_string());
        return Err(match exit {
            Exit::NoSource if waited > 0 => {
                error.hint(format!("nobody gave it within {waited} s: try again later"))
            }
            Exit::NoSource => error.hint(TRY_LATER),
            Exit::VerificationFailed => error.hint(REHASH),
            Exit::NotLoggedIn => error.hint(LOG_IN),
            // The same command again does not help. What had come of it would stay for ever.
            Exit::Failed if first.is_changed() => {
                let target = wanted.target.display().to_string();
                error.hint(format!(
                    "what had come of it, if anything, is {}.*.part: a download of what it is now, to the same place, \
                     goes on with it",
                    visible(&target)
                ))
            }
            Exit::Failed if cause != Cause::Place => error.hint(RESUME),
            _ => error,
        });
    }
    let hint = match cause {
        Cause::Place => CLEAR_WAY,
        Cause::Verification => REHASH,
        Cause::LoggedOut => LOG_IN,
        _ if first.is_changed() => CHANGED,
        _ => RESUME,
    };
    let ended = match untried {
        0 => format!("{} of {files} failed", count(failed, "file")),
        _ => format!(
            "{} of {files} failed, and {untried} were not tried any more: {}",
            count(failed, "file"),
            one_line(&first.to_string())
        ),
    };
    Err(CliError::new(exit, ended).hint(hint))
}

fn is_cancelled(error: &FetchError) -> bool {
    matches!(error, FetchError::Download(DownloadError::Cancelled))
}

fn exit_of(cause: Cause) -> Exit {
    match cause {
        Cause::Verification => Exit::VerificationFailed,
        Cause::NoSource => Exit::NoSource,
        Cause::NotFound => Exit::NotFound,
        Cause::LoggedOut => Exit::NotLoggedIn,
        Cause::Place | Cause::Other => Exit::Failed,
    }
}
