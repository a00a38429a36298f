//! `search`, `browse` and `link`.

use std::time::Duration;

use p2pshare_core::{
    api::{BrowseQuery, FileListing, Hit, SearchQuery, Sort},
    text::visible,
};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::follow::follow;
use crate::{
    cli::{
        args::{BrowseArgs, LinkArgs, Place, SearchArgs},
        context::Context,
        exit::{CliError, Exit},
        output::{bytes, count},
    },
    download,
    link::ShareLink,
};

/// Hits of one call to the index.
pub(super) const PAGE: u32 = 100;

pub(crate) async fn search(
    context: &Context,
    args: SearchArgs,
    stop: impl FnOnce() -> CancellationToken,
) -> Result<(), CliError> {
    let (_, client) = context.session_client()?;
    if let (Some(least), Some(most)) = (args.min_size, args.max_size)
        && least > most
    {
        return Err(CliError::new(
            Exit::Usage,
            "--min-size is above --max-size: nothing can be both",
        ));
    }
    let mut query = SearchQuery {
        q: args.words.join(" "),
        ext: (!args.ext.is_empty()).then(|| args.ext.join(",")),
        kind: args.kind,
        min_size: args.min_size,
        max_size: args.max_size,
        owner: args.owner,
        since: args.since,
        sort: args.sort,
        limit: None,
        cursor: None,
    };
    if args.follow {
        query.sort = Sort::Newest;
        let every = Duration::from_secs(args.every.into());
        return follow(context, &client, query, args.limit.get(), every, &stop()).await;
    }
    let mut left = args.limit.get();
    let mut shown = 0_u64;
    while left > 0 {
        query.limit = Some(left.min(PAGE));
        let page = client.search(&query).await?;
        for hit in &page.hits {
            show(context, hit);
        }
        let came = u32::try_from(page.hits.len()).unwrap_or(u32::MAX);
        shown += u64::from(came);
        left = left.saturating_sub(came);
        query.cursor = page.next;
        if query.cursor.is_none() || came == 0 {
            break;
        }
    }
    if shown == 0 {
        return Err(CliError::new(Exit::NotFound, "nothing was found")
            .hint("use fewer words or only their beginnings, and check the filters"));
    }
    context.output.event("searched", json!({ "hits": shown, "more": query.cursor.is_some() }));
    if query.cursor.is_some() {
        context
            .output
            .note(format!("{} shown; there are more: raise --limit", count(shown, "hit")));
    }
    context.output.note("Download one with: p2pshare-peer get ID");
    Ok(())
}

pub(super) fn show(context: &Context, hit: &Hit) {
    context.output.event("hit", hit);
    context.output.line(format!(
        "{}  {:>10}  {} online of {}",
        hit.content,
        bytes(hit.size).to_string(),
        hit.online,
        count(hit.sources.into(), "source"),
    ));
    for name in &hit.names {
        context.output.line(format!("    {}:/{}", name.owner, visible(name.path.as_str())));
    }
}

pub(crate) async fn browse(context: &Context, args: BrowseArgs) -> Result<(), CliError> {
    let Place { user, path } = args.of;
    if path.is_some() && args.path.is_some() {
        let twice = "the folder is named twice: write USER PATH or USER:/PATH";
        return Err(CliError::new(Exit::Usage, twice));
    }
    let (_, client) = context.session_client()?;
    let mut query = BrowseQuery {
        path: path.or(args.path),
        recursive: args.recursive,
        ..BrowseQuery::default()
    };
    let mut shown = 0_u64;
    loop {
        let page = client.browse(&user, &query).await?;
        for item in &page.items {
            context.output.event("item", item);
            match item {
                FileListing::Folder(path) => {
                    context.output.line(format!("{:>10}  {}/", "", visible(path.as_str())));
                }
                FileListing::File(file) => context.output.line(format!(
                    "{:>10}  {}",
                    bytes(file.size).to_string(),
                    visible(file.path.as_str())
                )),
            }
        }
        shown += page.items.len() as u64;
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    if shown == 0 {
        let place = query.path.map_or(String::new(), |path| format!(" below {path}"));
        return Err(CliError::new(Exit::NotFound, format!("{user} shares nothing{place}")));
    }
    Ok(())
}

pub(crate) async fn link(context: &Context, args: LinkArgs) -> Result<(), CliError> {
    let (_, client) = context.session_client()?;
    for found in download::find(&client, &args.what).await? {
        let link = ShareLink::new(client.url().clone(), found.content, &found.name);
        context.output.event(
            "link",
            json!({ "link": link.to_string(), "content": found.content, "size": found.size }),
        );
        context.output.line(link.to_string());
    }
    if client.url().is_local() {
        context.output.note(
            "This link leads to an index on this machine: for others, log in with the URL that they use.",
        );
    }
    Ok(())
}
