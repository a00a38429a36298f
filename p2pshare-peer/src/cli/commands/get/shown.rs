//! What `get` says of what it does itself.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use p2pshare_core::{swarm::DownloadError, text::visible};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    cli::{
        context::Context,
        exit::{CliError, Exit},
        output::{bytes, count, one_line},
        progress::Progress,
    },
    download::{Cause, FetchError, Fetched, JobEvent, JobProgress, JobReport},
};

/// What to do when nobody is online who has it.
pub(super) const TRY_LATER: &str = "try again later, or wait for a source with --wait SECONDS";

/// What to do when a download stopped half way.
pub(super) const RESUME: &str = "run the same command again: it goes on where it stopped";

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
pub(super) const CLEAR_WAY: &str =
    "mend what is said above, then run the same command again: it goes on where it stopped";

/// So many files that failed are told one by one.
pub(super) const TOLD: u64 = 20;

/// How often the progress is shown.
pub(super) const SHOW_EVERY: Duration = Duration::from_millis(100);

/// Shows how far the job is, for ever.
pub(super) async fn follow(progress: &JobProgress, shown: &Progress) {
    let mut tick = interval(SHOW_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if progress.total() > 0 {
            shown.set_moved(progress.done(), progress.total(), progress.moved());
        }
    }
}

pub(super) fn show(
    context: &Context,
    shown: &Progress,
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

pub(super) fn conclude(
    context: &Context,
    files: u64,
    waited: u64,
    report: JobReport,
) -> Result<(), CliError> {
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

pub(super) fn exit_of(cause: Cause) -> Exit {
    match cause {
        Cause::Verification => Exit::VerificationFailed,
        Cause::NoSource => Exit::NoSource,
        Cause::NotFound => Exit::NotFound,
        Cause::LoggedOut => Exit::NotLoggedIn,
        Cause::Place | Cause::Other => Exit::Failed,
    }
}
