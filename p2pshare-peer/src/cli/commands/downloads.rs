//! `downloads`: what the running peer downloads.

use p2pshare_core::{api::ProblemKind, content::ContentId, text::visible};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::running::logged_in;
use crate::{
    cli::{
        args::{DownloadsArgs, DownloadsCommand, DownloadsOf},
        context::Context,
        exit::{CliError, Exit},
        output::{bytes, count, one_line},
        progress::Pace,
    },
    download::Cause,
    downloads::{DownloadId, DownloadState, FileState},
    local::client::{LocalClient, LocalClientError},
};

/// Downloads that are asked for at once.
const PAGE: usize = 500;

const NO_BODY: Option<&()> = None;

/// A download, as the running peer tells of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Download {
    pub(super) id: DownloadId,
    pub(super) state: DownloadState,
    pub(super) title: String,
    pub(super) folder: String,
    pub(super) files: u64,
    pub(super) files_done: u64,
    pub(super) files_failed: u64,
    pub(super) bytes: u64,
    pub(super) bytes_done: u64,
    pub(super) rate: u64,
    pub(super) eta_seconds: Option<u64>,
    #[serde(default)]
    pub(super) stalled_seconds: Option<u64>,
    pub(super) sources: u32,
    pub(super) queued_at: Option<u32>,
    pub(super) error: Option<String>,
    pub(super) cause: Option<Cause>,
    /// What else it tells.
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// A file of a download, as the running peer tells of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct DownloadedFile {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) content: ContentId,
    pub(super) size: u64,
    pub(super) done: u64,
    pub(super) state: FileState,
    pub(super) error: Option<String>,
    pub(super) cause: Option<Cause>,
    pub(super) there: bool,
    /// What else it tells.
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// Some of a list of the running peer's.
#[derive(Deserialize)]
pub(super) struct Page<T, C> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<C>,
}

pub(crate) async fn downloads(context: &Context, args: DownloadsArgs) -> Result<(), CliError> {
    let node = logged_in(context).await?;
    match args.command {
        None => list(context, &node, args.all, args.limit.get()).await,
        Some(DownloadsCommand::Files { id, failed }) => files(context, &node, id, failed).await,
        Some(DownloadsCommand::Pause(which)) => change(context, &node, "pause", which).await,
        Some(DownloadsCommand::Resume(which)) => change(context, &node, "resume", which).await,
        Some(DownloadsCommand::Cancel(which)) => change(context, &node, "cancel", which).await,
        Some(DownloadsCommand::Retry(which)) => change(context, &node, "retry", which).await,
        Some(DownloadsCommand::Forget(which)) => forget(context, &node, which).await,
    }
}

async fn list(
    context: &Context,
    node: &LocalClient,
    all: bool,
    limit: usize,
) -> Result<(), CliError> {
    let filter = if all { "all" } else { "active" };
    let mut after = None;
    let mut left = limit;
    let mut none = true;
    while left > 0 {
        let page = page(node, filter, after, left.min(PAGE)).await?;
        for download in &page.items {
            none = false;
            context.output.line(line(download));
            context.output.event("download", download);
        }
        left -= page.items.len().min(left);
        after = page.next;
        if after.is_none() || page.items.is_empty() {
            break;
        }
    }
    if none {
        context.output.note(match all {
            true => "There are no downloads.",
            false => "Nothing is being downloaded; --all lists what is done.",
        });
    }
    Ok(())
}

async fn page(
    node: &LocalClient,
    filter: &str,
    after: Option<DownloadId>,
    limit: usize,
) -> Result<Page<Download, DownloadId>, LocalClientError> {
    let after = after.map_or(String::new(), |after| format!("&after={after}"));
    node.get(&format!("/downloads?state={filter}&limit={limit}{after}")).await
}

/// Lists the files of a download.
async fn files(
    context: &Context,
    node: &LocalClient,
    id: DownloadId,
    failed: bool,
) -> Result<(), CliError> {
    let filter = if failed { "failed" } else { "all" };
    let mut after = None;
    loop {
        let from = after.map_or(String::new(), |after: u64| format!("&after={after}"));
        let path = format!("/downloads/{id}/files?state={filter}&limit={PAGE}{from}");
        let page: Page<DownloadedFile, u64> = node.get(&path).await?;
        for file in &page.items {
            context.output.line(file_line(file));
            context.output.event("file", file);
        }
        after = page.next;
        if after.is_none() || page.items.is_empty() {
            return Ok(());
        }
    }
}

/// A file of a download in a line.
fn file_line(file: &DownloadedFile) -> String {
    let state = match file.state {
        FileState::Waiting => "waiting",
        FileState::Running => "running",
        FileState::Done => "done",
        FileState::Failed => "failed",
    };
    let percent = match (file.state, file.size) {
        (FileState::Done | FileState::Failed, _) | (_, 0) => String::new(),
        (_, size) => format!(" {}%", u128::from(file.done) * 100 / u128::from(size)),
    };
    let why = file.error.as_ref().map_or(String::new(), |why| format!(": {}", one_line(why)));
    format!("{state}{percent}  {}, {}{why}", visible(&file.name), bytes(file.size))
}

/// A download in a line.
fn line(download: &Download) -> String {
    let Download { id, state, title, bytes: total, bytes_done: done, .. } = download;
    let percent = match total {
        0 => String::new(),
        total => format!(" {}%", u128::from(*done) * 100 / u128::from(*total)),
    };
    let mut parts = vec![format!("{id:>4}  {state}{percent}  {}", visible(title))];
    if *total > 0 {
        parts.push(bytes(*total).to_string());
    }
    if download.files > 1 {
        parts.push(format!("{} of {}", download.files_done, count(download.files, "file")));
    }
    if download.files_failed > 0 {
        parts.push(format!("{} failed", download.files_failed));
    }
    let Download { rate, eta_seconds: left, stalled_seconds: stalled, .. } = *download;
    if *state == DownloadState::Running && (rate > 0 || stalled.is_some()) {
        parts.push(Pace { rate, left, stalled }.to_string());
    }
    if let Some(position) = download.queued_at {
        parts.push(format!("{position} before it"));
    }
    if let Some(error) = &download.error {
        parts.push(one_line(error));
    }
    parts.join(", ")
}

async fn change(
    context: &Context,
    node: &LocalClient,
    action: &str,
    which: DownloadsOf,
) -> Result<(), CliError> {
    #[derive(Deserialize, Serialize)]
    struct Changed {
        changed: u64,
    }
    if which.all && (action == "pause" || action == "resume") {
        let changed: Changed = node.post(&format!("/downloads/{action}"), NO_BODY).await?;
        context.output.line(format!("{}: {}.", past(action), count(changed.changed, "download")));
        context.output.event("changed", changed);
        return Ok(());
    }
    let mut changed = 0;
    let ids = numbers(node, &which, action == "retry").await?;
    let mut failures = Failures::new(context, &which, ids.len());
    for id in ids {
        let done: Result<Download, _> =
            node.post(&format!("/downloads/{id}/{action}"), NO_BODY).await;
        match done {
            Ok(download) => {
                changed += 1;
                if !which.all {
                    context.output.line(line(&download));
                }
                context.output.event("download", download);
            }
            Err(error) => failures.note(id, error)?,
        }
    }
    if which.all {
        context.output.line(format!("{}: {}.", past(action), count(changed, "download")));
        context.output.event("changed", Changed { changed });
    }
    failures.end()
}

async fn forget(context: &Context, node: &LocalClient, which: DownloadsOf) -> Result<(), CliError> {
    let mut forgotten = 0;
    let ids = numbers(node, &which, true).await?;
    let mut failures = Failures::new(context, &which, ids.len());
    for id in ids {
        match node.delete(&format!("/downloads/{id}")).await {
            Ok(()) => forgotten += 1,
            Err(error) => failures.note(id, error)?,
        }
    }
    context.output.line(format!("Forgotten: {}.", count(forgotten, "download")));
    context.output.event("forgotten", json!({ "forgotten": forgotten }));
    failures.end()
}

/// The downloads with which something could not be done. They keep it from no others.
struct Failures<'a> {
    context: &'a Context,
    /// All downloads are meant.
    all: bool,
    /// How many are meant.
    of: usize,
    failed: u64,
    first: Option<CliError>,
}

impl<'a> Failures<'a> {
    fn new(context: &'a Context, which: &DownloadsOf, of: usize) -> Self {
        Self { context, all: which.all, of, failed: 0, first: None }
    }

    /// Tells of a download, unless it is the only one.
    ///
    /// # Errors
    ///
    /// Those that the others would meet too.
    fn note(&mut self, id: DownloadId, error: LocalClientError) -> Result<(), CliError> {
        if self.all && is_conflict(&error) {
            // Of all, those that it cannot be done with are not meant.
            return Ok(());
        }
        let is_away = matches!(error, LocalClientError::Away(_));
        let error = CliError::from(error);
        if is_away || error.exit == Exit::NotLoggedIn {
            return Err(error);
        }
        let output = self.context.output;
        if self.of > 1 {
            match output.is_json() {
                true => output.event("failed", json!({ "download": id, "error": error.message })),
                false => output.warn(one_line(&error.message)),
            }
        }
        self.failed += 1;
        self.first.get_or_insert(error);
        Ok(())
    }

    /// How the command ends: as the first of them.
    fn end(self) -> Result<(), CliError> {
        match self.first {
            None => Ok(()),
            Some(error) if self.of == 1 => Err(error),
            Some(error) => {
                let message = format!("{} of {} failed", count(self.failed, "download"), self.of);
                Err(CliError { message, ..error })
            }
        }
    }
}

/// The downloads that are meant, by their numbers.
async fn numbers(
    node: &LocalClient,
    which: &DownloadsOf,
    settled: bool,
) -> Result<Vec<DownloadId>, CliError> {
    if !which.all {
        return Ok(which.ids.clone());
    }
    let filter = if settled { "settled" } else { "active" };
    let mut numbers = Vec::new();
    let mut after = None;
    loop {
        let page = page(node, filter, after, PAGE).await?;
        numbers.extend(page.items.iter().map(|download| download.id));
        after = page.next;
        if after.is_none() || page.items.is_empty() {
            return Ok(numbers);
        }
    }
}

fn is_conflict(error: &LocalClientError) -> bool {
    let LocalClientError::Problem(problem) = error else { return false };
    matches!(problem.kind(), Some(ProblemKind::Conflict | ProblemKind::NotFound))
}

fn past(action: &str) -> &'static str {
    match action {
        "pause" => "Paused",
        "resume" => "Resumed",
        "cancel" => "Cancelled",
        _ => "Tried again",
    }
}
