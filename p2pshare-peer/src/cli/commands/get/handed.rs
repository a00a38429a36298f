//! `get` through the running peer.

use std::{env, time::Duration};

use p2pshare_core::text::visible;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::shown::{CLEAR_WAY, RESUME, SHOW_EVERY, TOLD, TRY_LATER, exit_of};
use crate::{
    cli::{
        args::GetArgs,
        commands::downloads::{Download, DownloadedFile, Page},
        context::Context,
        exit::{CliError, Exit},
        output::{bytes, count, one_line},
        progress::{Pace, Progress},
    },
    download::{Cause, Target},
    downloads::{DownloadId, DownloadState, FileState},
    local::client::{LocalClient, LocalClientError},
};

/// A peer that is gone may be back in a moment, as when it is updated.
const COMES_BACK: Duration = Duration::from_secs(20);

/// What a download waits for besides sources, such as an index that starts anew, may be over by itself; and it takes a
/// while to look at a large file of which a part is there.
const PASSES: Duration = Duration::from_secs(120);

/// Files that are asked for at once.
const PAGE: usize = 500;

/// A download that the running peer was asked for.
#[derive(Deserialize)]
struct Begun {
    #[serde(flatten)]
    download: Download,
    /// Whether it was there already.
    #[serde(default)]
    joined: bool,
}

/// Hands the download to the running peer, and follows it to its end unless told otherwise.
pub(super) async fn get(
    context: &Context,
    args: GetArgs,
    what: &[Target],
    node: LocalClient,
    cancel: &CancellationToken,
) -> Result<(), CliError> {
    let folder = match args.output {
        // A separator at the end means a folder, and stays.
        Some(output) => std::path::absolute(&output),
        None => env::current_dir(),
    };
    let folder =
        folder.map_err(|error| CliError::failed(format!("finding the folder: {error}")))?;
    let Some(folder) = folder.to_str() else {
        return Err(CliError::failed(
            "the running peer is told paths as text, and this one is none",
        )
        .hint("add --here"));
    };
    let what: Vec<_> = what.iter().map(ToString::to_string).collect();
    let request = json!({ "what": what, "folder": folder, "overwrite": args.overwrite });
    let begun: Begun = node.post("/downloads", Some(&request)).await?;
    let (begun, joined) = (begun.download, begun.joined);
    context
        .output
        .event("begun", json!({ "download": begun.id, "title": begun.title, "joined": joined }));
    if joined {
        context.output.note(format!("Download {} brings it already: it goes on.", begun.id));
    }
    if args.detach {
        context.output.line(format!(
            "Download {} goes on in the running peer: p2pshare-peer downloads",
            begun.id
        ));
        return Ok(());
    }
    let mut follower = Follower { context, node, id: begun.id, is_paused: false };
    let shown = context.output.progress(visible(&begun.title).to_string(), None);
    let wait = Duration::from_secs(args.wait);
    let ended = cancel.run_until_cancelled(follower.follow(&shown, wait)).await;
    shown.finish();
    match ended {
        Some(ended) => follower.conclude(ended?).await,
        None => Err(stopped(begun.id, follower.is_paused)),
    }
}

/// Following was stopped, which does nothing to the download.
fn stopped(id: DownloadId, is_paused: bool) -> CliError {
    let (so, verb, does) = match is_paused {
        true => ("is paused", "resume", "lets it go on"),
        false => ("goes on in the background", "pause", "halts it"),
    };
    CliError::failed(format!("stopped following: download {id} {so}")).hint(format!(
        "`p2pshare-peer downloads` shows it, `p2pshare-peer downloads {verb} {id}` {does}, \
         `p2pshare-peer downloads cancel {id}` ends it"
    ))
}

struct Follower<'a> {
    context: &'a Context,
    node: LocalClient,
    id: DownloadId,
    /// Whether the download was paused when it was last looked at.
    is_paused: bool,
}

impl Follower<'_> {
    /// Shows how far the download is until it is settled, or has waited for a source, or whatever else, for so long.
    async fn follow(&mut self, shown: &Progress, wait: Duration) -> Result<Download, CliError> {
        let mut waiting: Option<Instant> = None;
        loop {
            let download: Download = self.ask(&format!("/downloads/{}", self.id)).await?;
            if download.bytes > 0 {
                let Download { rate, eta_seconds: left, stalled_seconds: stalled, .. } = download;
                let pace = Pace { rate, left, stalled };
                shown.tell(download.bytes_done, download.bytes, pace);
            }
            if download.state.is_settled() {
                return Ok(download);
            }
            self.is_paused = download.state == DownloadState::Paused;
            shown.status(&status(&download));
            match patience(&download, wait) {
                None => waiting = None,
                Some(patience) => {
                    let since = *waiting.get_or_insert_with(Instant::now);
                    if since.elapsed() >= patience {
                        return Ok(download);
                    }
                }
            }
            sleep(SHOW_EVERY).await;
        }
    }

    /// Asks the peer; one that is gone is waited for, for a while.
    async fn ask<T: serde::de::DeserializeOwned>(&mut self, path: &str) -> Result<T, CliError> {
        let deadline = Instant::now() + COMES_BACK;
        loop {
            match self.node.get(path).await {
                Err(LocalClientError::Away(_)) if Instant::now() < deadline => {
                    sleep(SHOW_EVERY).await;
                    // It has another port and another key then.
                    if let Ok(Some(node)) = LocalClient::find(&self.context.dir) {
                        self.node = node;
                    }
                }
                Err(error @ LocalClientError::Away(_)) => {
                    return Err(CliError::from(error)
                        .hint("the download goes on when `p2pshare-peer serve` runs again"));
                }
                other => return Ok(other?),
            }
        }
    }

    /// Tells what came of it.
    async fn conclude(&mut self, download: Download) -> Result<(), CliError> {
        let output = self.context.output;
        let (mut fetched, mut there, mut failed, mut waiting, mut got) = (0, 0, 0, 0, 0);
        let mut untried = 0;
        let mut gravest: Option<(String, Cause)> = None;
        let mut told = 0_u64;
        let mut after = None;
        loop {
            let query = after.map_or(String::new(), |after: u64| format!("&after={after}"));
            let path = format!("/downloads/{}/files?limit={PAGE}{query}", self.id);
            let page: Page<DownloadedFile, u64> = self.ask(&path).await?;
            for file in &page.items {
                match file.state {
                    FileState::Done => {
                        if file.there {
                            there += 1;
                        } else {
                            fetched += 1;
                            got += file.size;
                        }
                        self.tell_done(file, download.files == 1);
                    }
                    state => {
                        // What may still come has not failed.
                        let waits = state != FileState::Failed && !download.state.is_settled();
                        let (event, number) = match waits {
                            true => ("waits", &mut waiting),
                            false => ("failed", &mut failed),
                        };
                        *number += 1;
                        untried += u64::from(!waits && state != FileState::Failed);
                        // What keeps all from being fetched is said of those whose turn did not come.
                        let why = file.error.as_ref().or(download.error.as_ref());
                        let why = why.cloned().unwrap_or_else(|| download.state.to_string());
                        output.event(
                            event,
                            json!({
                                "path": file.path,
                                "content": file.content,
                                "error": why,
                                "cause": file.cause,
                            }),
                        );
                        if download.files > 1 && download.state == DownloadState::Failed {
                            told += 1;
                            if told <= TOLD {
                                self.warn(&format!("{}: {}", visible(&file.path), one_line(&why)));
                            }
                        }
                        let cause = file.cause.unwrap_or(Cause::Other);
                        let graver =
                            |(_, other): &(String, Cause)| cause.gravity() > other.gravity();
                        if gravest.as_ref().is_none_or(graver) {
                            gravest = Some((why, cause));
                        }
                    }
                }
            }
            after = page.next;
            if after.is_none() || page.items.is_empty() {
                break;
            }
        }
        if told > TOLD {
            self.warn(&format!(
                "and {} more: `p2pshare-peer downloads files {} --failed` lists those that were tried",
                count(told - TOLD, "file"),
                self.id
            ));
        }
        let mut counts =
            json!({ "fetched": fetched, "bytes": got, "there": there, "failed": failed });
        if download.state.is_settled() {
            counts["untried"] = untried.into();
            output.event("done", counts);
        } else {
            counts["waiting"] = waiting.into();
            counts["download"] = json!(self.id);
            output.event("background", counts);
        }
        if download.files > 1 && fetched + there > 0 {
            let also = match there {
                0 => String::new(),
                there => format!(", {there} were there already"),
            };
            output.line(format!("Got {} ({}){also}.", count(fetched, "file"), bytes(got)));
        }
        result(&download, failed, gravest)
    }

    /// Tells people what programs were told by an event.
    fn warn(&self, text: &str) {
        if !self.context.output.is_json() {
            self.context.output.warn(text);
        }
    }

    fn tell_done(&self, file: &DownloadedFile, only: bool) {
        let output = self.context.output;
        output.event(
            "file",
            json!({
                "path": file.path,
                "content": file.content,
                "size": file.size,
                "state": if file.there { "there" } else { "fetched" },
            }),
        );
        if only {
            let verb = if file.there { "Is there already:" } else { "Got" };
            output.line(format!("{verb} {} ({})", visible(&file.path), bytes(file.size)));
        }
    }
}

/// What is said of a download that is not settled.
fn status(download: &Download) -> String {
    match (download.state, &download.error) {
        (DownloadState::Paused, _) => "is paused".to_owned(),
        (DownloadState::Queued, _) => "is queued".to_owned(),
        (_, Some(_)) if download.cause == Some(Cause::NoSource) => "waits for a source".to_owned(),
        (_, Some(error)) => format!("waits: {}", one_line(error)),
        (_, None) => String::new(),
    }
}

/// How long a download is followed while it waits as it does now; `None`: it does not.
fn patience(download: &Download, wait: Duration) -> Option<Duration> {
    download.error.as_ref()?;
    Some(match download.cause {
        Some(Cause::NoSource) => wait,
        _ => wait.max(PASSES),
    })
}

/// How the command ends, with the same codes as without a running peer.
fn result(
    download: &Download,
    failed: u64,
    gravest: Option<(String, Cause)>,
) -> Result<(), CliError> {
    match download.state {
        DownloadState::Done => return Ok(()),
        DownloadState::Cancelled => {
            return Err(CliError::failed(format!("download {} was cancelled", download.id)));
        }
        _ => {}
    }
    let (file_error, file_cause) = gravest.unzip();
    // Of one that waits its own says more than that of a file whose turn has not come.
    let cause = download.cause.or(file_cause).unwrap_or(Cause::Other);
    let exit = exit_of(cause);
    let why = download.error.clone().or(file_error).unwrap_or_else(|| "it failed".to_owned());
    let several = download.files > 1 && failed > 0;
    let waits = !download.state.is_settled();
    let message = match several && !waits {
        true => format!("{} of {} failed", count(failed, "file"), download.files),
        false => why,
    };
    let error = CliError::new(exit, message);
    Err(match exit {
        _ if waits => {
            let for_what = if exit == Exit::NoSource { " for a source" } else { "" };
            error.hint(format!(
                "download {} waits{for_what} in the background; wait for it with --wait SECONDS, or end it: p2pshare-peer downloads cancel {}",
                download.id, download.id
            ))
        }
        Exit::NoSource => error.hint(TRY_LATER),
        Exit::NotFound => error.hint("look for it with `search` or `browse`"),
        // The same command again does not help.
        Exit::Failed if cause != Cause::Place => error.hint(RESUME),
        Exit::Failed if several => error.hint(CLEAR_WAY),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(error: &str, cause: Option<Cause>) -> Download {
        let told = json!({
            "id": 7, "state": "running", "title": "Films", "folder": "/films",
            "files": 2, "files_done": 1, "files_failed": 0, "bytes": 5, "bytes_done": 2, "rate": 0,
            "eta_seconds": null, "sources": 0, "queued_at": null, "error": error, "cause": cause,
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn whatever_a_download_waits_for_ends_the_patience_with_it() {
        let long = PASSES * 2;
        let no_source = waiting("nobody is online", Some(Cause::NoSource));
        assert_eq!(patience(&no_source, Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(status(&no_source), "waits for a source");
        let away = waiting("the index:\ncannot be reached", Some(Cause::Other));
        assert_eq!(patience(&away, Duration::ZERO), Some(PASSES));
        assert_eq!(patience(&away, long), Some(long));
        assert_eq!(status(&away), "waits: the index: cannot be reached");
        let mut runs = away;
        (runs.error, runs.cause) = (None, None);
        assert_eq!((patience(&runs, long), status(&runs)), (None, String::new()));
    }

    #[test]
    fn what_it_waits_for_is_told_at_the_end() {
        for (cause, exit) in [
            (Some(Cause::NoSource), Exit::NoSource),
            (Some(Cause::LoggedOut), Exit::NotLoggedIn),
            (None, Exit::Failed),
        ] {
            let error = result(&waiting("so it is", cause), 1, None).unwrap_err();
            assert_eq!((error.exit, error.message.as_str()), (exit, "so it is"));
            let hint = error.hint.unwrap();
            assert!(hint.contains("download 7 waits") && hint.contains("background"), "{hint}");
        }
    }
}
