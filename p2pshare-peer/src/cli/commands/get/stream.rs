//! `get -o -`: a content to standard output, as it comes.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::StreamExt;
use p2pshare_core::text::visible;
use tokio_util::sync::CancellationToken;

use super::{found::find_two, stopped};
use crate::{
    cli::{
        args::GetArgs,
        context::Context,
        exit::{CliError, Exit},
        progress::Progress,
        values::rate,
    },
    download::{Found, Target},
    downloads::{Connection, DownloadManager, ManagerOptions, ReadError},
    local::client::LocalClient,
    publish::OwnPeer,
};

/// Writes one content to standard output, through the running peer if there is one.
pub(super) async fn get(
    context: &Context,
    args: GetArgs,
    what: &[Target],
    me: OwnPeer,
    node: Option<LocalClient>,
    cancel: &CancellationToken,
) -> Result<(), CliError> {
    if context.output.is_json() {
        return Err(usage("standard output is for the content: leave out --json"));
    }
    let found = cancel.run_until_cancelled(find_two(me.client(), what)).await;
    let found = found.ok_or_else(stopped)??;
    let [file] = found.as_slice() else {
        return Err(
            usage("only one file can go to standard output").hint("name one, or a folder with -o")
        );
    };
    let name = file.name.file_name().to_owned();
    let shown = context.output.progress(visible(&name).to_string(), Some(file.size));
    let done = match node {
        Some(node) => {
            let through = through(&node, file, &name, &shown);
            cancel.run_until_cancelled(through).await.unwrap_or(Err(Ended::Stopped))
        }
        None => Box::pin(here(context, &args, me, file, &shown, cancel)).await,
    };
    shown.finish();
    match done {
        Ok(()) | Err(Ended::ReaderGone) => Ok(()),
        Err(Ended::Stopped) => Err(stopped()),
        Err(Ended::Failed(error)) => Err(error),
    }
}

enum Ended {
    /// Whoever reads wants no more, as `head`.
    ReaderGone,
    /// It was told to stop.
    Stopped,
    Failed(CliError),
}

impl<E: Into<CliError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn through(
    node: &LocalClient,
    file: &Found,
    name: &str,
    shown: &Progress,
) -> Result<(), Ended> {
    let mut content = node.content(&file.content, name).await?;
    let total = content.total().unwrap_or(file.size);
    let mut done = 0;
    while let Some(bytes) = content.next().await? {
        done = put(bytes, done, total, shown).await?;
    }
    Ok(())
}

async fn here(
    context: &Context,
    args: &GetArgs,
    me: OwnPeer,
    file: &Found,
    shown: &Progress,
    cancel: &CancellationToken,
) -> Result<(), Ended> {
    // Dropped last, once nothing is written there.
    let Some(folder) = context.dir.reading_folder()? else {
        return Err(CliError::failed("too many commands read contents at the moment").into());
    };
    let options = ManagerOptions {
        limit: rate(args.download_limit).bytes_per_second(),
        ..ManagerOptions::new(folder.path().join("cache"))
    };
    let queue = folder.path().join("downloads.sqlite");
    let opened = tokio::task::spawn_blocking(move || DownloadManager::open(&queue, options));
    let manager = opened.await.map_err(CliError::failed)?.map_err(CliError::failed)?;
    let pool = Arc::new(context.peer_pool(args.insecure, None)?);
    let connection = Connection { me, pool, serving: None };
    let copy = Box::pin(copy(&manager, connection, file, shown));
    let copied = cancel.run_until_cancelled(copy).await;
    manager.close().await;
    copied.unwrap_or(Err(Ended::Stopped))
}

/// Downloads the content, and writes it as it comes.
async fn copy(
    manager: &DownloadManager,
    connection: Connection,
    file: &Found,
    shown: &Progress,
) -> Result<(), Ended> {
    manager.connect(Some(connection)).await.map_err(CliError::failed)?;
    let reader = manager.reader(file.content, Some(file.size)).await?;
    let mut bytes = reader.read(0..reader.len()).or_else(|error| match reader.is_empty() {
        true => Ok(futures::stream::empty().boxed()),
        false => Err(error),
    })?;
    let mut done = 0;
    while let Some(part) = bytes.next().await {
        done = put(part?, done, reader.len(), shown).await?;
    }
    Ok(())
}

/// Writes some bytes, and gives how many there are now.
async fn put(bytes: Bytes, done: u64, total: u64, shown: &Progress) -> Result<u64, Ended> {
    let done = done + bytes.len() as u64;
    match crate::cli::output::write(bytes).await {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Ended::ReaderGone),
        Err(error) => {
            return Err(
                CliError::failed(format!("writing to standard output failed: {error}")).into()
            );
        }
    }
    shown.set(done, total);
    Ok(done)
}

fn usage(message: &str) -> CliError {
    CliError::new(Exit::Usage, message)
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        let exit = match &error {
            ReadError::LoggedOut(_) => Exit::NotLoggedIn,
            ReadError::NotFound(_) => Exit::NotFound,
            ReadError::NoSource(_) => Exit::NoSource,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}
