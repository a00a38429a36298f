//! `get`: by the running peer if there is one, else here.

mod found;
mod handed;
mod served;
mod shown;
mod stream;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use p2pshare_core::{
    text::visible,
    transfer::{Durability, ReadOptions},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::{
    found::{find_two, goes_into_folder},
    served::Served,
    shown::{conclude, follow, show},
};
use super::{catalog::open_catalog, choose::targets, serve::lan};
use crate::{
    catalog::CatalogSource,
    cli::{
        args::GetArgs,
        context::Context,
        exit::{CliError, Exit},
        output::count,
        values::rate,
    },
    download::{DownloadOptions, JobEvent, JobProgress, Locator, resolve, run},
    index_keys::IndexKeysError,
    local::client::LocalClient,
};

/// So long the index may take to say which keys it has, after a download has failed.
const KEYS_PATIENCE: Duration = Duration::from_secs(3);

/// As an output: to standard output.
const STDOUT: &str = "-";

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
