//! `get` through the running peer.

use std::{env, time::Duration};

use p2pshare_core::{content::ContentId, text::visible};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{RESUME, SHOW_EVERY};
use crate::{
    cli::{
        args::GetArgs,
        commands::downloads::{Download, Page},
        context::Context,
        exit::{CliError, Exit},
        output::{Progress, bytes, count},
    },
    downloads::{DownloadId, DownloadState, FileState},
    local::client::{LocalClient, LocalClientError},
};

/// A peer that is gone may be back in a moment, as when it is updated.
const COMES_BACK: Duration = Duration::from_secs(20);

/// Files that are asked for at once.
const PAGE: usize = 500;

/// A file of a download, as the running peer tells of it.
#[derive(Deserialize)]
struct File {
    number: u64,
    path: String,
    content: ContentId,
    size: u64,
    state: FileState,
    error: Option<String>,
    cause: Option<String>,
    #[serde(default)]
    there: bool,
    #[serde(default)]
    resumed_pieces: u32,
}

#[derive(Deserialize)]
struct Map {
    sources: Vec<Value>,
}

/// Hands the download to the running peer, and follows it to its end unless told otherwise.
pub(super) async fn get(
    context: &Context,
    args: GetArgs,
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
    let what: Vec<_> = args.what.iter().map(ToString::to_string).collect();
    let request = json!({ "what": what, "folder": folder, "overwrite": args.overwrite });
    let begun: Download = node.post("/downloads", Some(&request)).await?;
    context.output.event("begun", json!({ "download": begun.id, "title": begun.title }));
    if args.detach {
        context.output.line(format!(
            "Download {} goes on in the running peer: p2pshare-peer downloads",
            begun.id
        ));
        return Ok(());
    }
    let mut follower = Follower { context, node, id: begun.id };
    let shown = context.output.progress(visible(&begun.title).to_string(), None);
    let wait = Duration::from_secs(args.wait);
    let ended = cancel.run_until_cancelled(follower.follow(&shown, wait)).await;
    shown.finish();
    match ended {
        Some(ended) => follower.conclude(ended?).await,
        None => Err(CliError::failed(format!(
            "stopped following: download {} goes on in the background",
            begun.id
        ))
        .hint(format!(
            "p2pshare-peer downloads shows it, p2pshare-peer downloads cancel {} ends it",
            begun.id
        ))),
    }
}

struct Follower<'a> {
    context: &'a Context,
    node: LocalClient,
    id: DownloadId,
}

impl Follower<'_> {
    /// Shows how far the download is until it is settled, or has waited for a source for so long.
    async fn follow(&mut self, shown: &Progress, wait: Duration) -> Result<Download, CliError> {
        let mut waiting: Option<Instant> = None;
        loop {
            let download: Download = self.ask(&format!("/downloads/{}", self.id)).await?;
            if download.bytes > 0 {
                shown.set(download.bytes_done, download.bytes);
            }
            if download.state.is_settled() {
                return Ok(download);
            }
            match download.state {
                DownloadState::Paused => shown.message("(paused)"),
                DownloadState::Queued => shown.message("(waiting for others to end)"),
                _ => shown.message(""),
            }
            let no_source = download.cause.as_deref() == Some(NO_SOURCE);
            match (no_source, waiting) {
                (false, _) => waiting = None,
                (true, Some(since)) if since.elapsed() >= wait => return Ok(download),
                (true, None) if wait.is_zero() => return Ok(download),
                (true, Some(_)) => {}
                (true, None) => waiting = Some(Instant::now()),
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
        let (mut fetched, mut there, mut failed, mut got) = (0, 0, 0, 0);
        let mut first = None;
        let mut after = None;
        loop {
            let query = after.map_or(String::new(), |after: u64| format!("&after={after}"));
            let path = format!("/downloads/{}/files?limit={PAGE}{query}", self.id);
            let page: Page<File, u64> = self.ask(&path).await?;
            for file in &page.items {
                match file.state {
                    FileState::Done => {
                        if file.there {
                            there += 1;
                        } else {
                            fetched += 1;
                            got += file.size;
                        }
                        self.tell_done(file, download.files == 1).await?;
                    }
                    _ => {
                        failed += 1;
                        let why = file.error.clone().unwrap_or_else(|| download.state.to_string());
                        output.event(
                            "failed",
                            json!({ "path": file.path, "content": file.content, "error": why }),
                        );
                        if download.files > 1 && download.state == DownloadState::Failed {
                            output.warn(format!("{}: {}", visible(&file.path), visible(&why)));
                        }
                        first.get_or_insert((why, file.cause.clone()));
                    }
                }
            }
            after = page.next;
            if after.is_none() || page.items.is_empty() {
                break;
            }
        }
        output.event(
            "done",
            json!({ "fetched": fetched, "bytes": got, "there": there, "failed": failed }),
        );
        if download.files > 1 && fetched + there > 0 {
            let also = match there {
                0 => String::new(),
                there => format!(", {there} were there already"),
            };
            output.line(format!("Got {} ({}){also}.", count(fetched, "file"), bytes(got)));
        }
        result(&download, failed, first)
    }

    async fn tell_done(&mut self, file: &File, only: bool) -> Result<(), CliError> {
        let output = self.context.output;
        let state = if file.there { "there" } else { "fetched" };
        // Who gave what is known for as long as the peer runs.
        let map: Result<Map, _> = self
            .node
            .get(&format!("/downloads/{}/map?file={}&cells=1", self.id, file.number))
            .await;
        let sources = map.map(|map| map.sources).unwrap_or_default();
        output.event(
            "file",
            json!({
                "path": file.path,
                "content": file.content,
                "size": file.size,
                "state": state,
                "resumed_pieces": file.resumed_pieces,
                "sources": sources,
            }),
        );
        if only {
            let verb = if file.there { "Is there already:" } else { "Got" };
            output.line(format!("{verb} {} ({})", visible(&file.path), bytes(file.size)));
        }
        Ok(())
    }
}

const NO_SOURCE: &str = "no_source";

/// How the command ends, with the same codes as without a running peer.
fn result(
    download: &Download,
    failed: u64,
    first: Option<(String, Option<String>)>,
) -> Result<(), CliError> {
    let (file_error, file_cause) = first.unzip();
    match download.state {
        DownloadState::Done => return Ok(()),
        DownloadState::Cancelled => {
            return Err(CliError::failed(format!("download {} was cancelled", download.id)));
        }
        _ => {}
    }
    let cause = download.cause.clone().or(file_cause.flatten());
    let exit = exit_of(cause.as_deref());
    let why = download.error.clone().or(file_error).unwrap_or_else(|| "it failed".to_owned());
    let several = download.files > 1 && failed > 0;
    let message = match several {
        true => format!("{} of {} failed", count(failed, "file"), download.files),
        false => why,
    };
    let error = CliError::new(exit, message);
    Err(match exit {
        Exit::NoSource if !download.state.is_settled() => error.hint(format!(
            "download {} waits for a source in the background; wait for it with --wait SECONDS, or end it: p2pshare-peer downloads cancel {}",
            download.id, download.id
        )),
        Exit::NoSource => error.hint(super::TRY_LATER),
        Exit::NotFound => error.hint("look for it with `search` or `browse`"),
        Exit::Failed => error.hint(RESUME),
        _ => error,
    })
}

fn exit_of(cause: Option<&str>) -> Exit {
    match cause {
        Some(NO_SOURCE) => Exit::NoSource,
        Some("verification") => Exit::VerificationFailed,
        Some("not_found") => Exit::NotFound,
        Some("not_a_folder") => Exit::Usage,
        Some("logged_out" | "other_index") => Exit::NotLoggedIn,
        _ => Exit::Failed,
    }
}
