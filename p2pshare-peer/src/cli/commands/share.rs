//! `share`, `unshare`.

mod shown;

use std::path::PathBuf;

use p2pshare_core::{
    api::Visibility, content::ContentId, identity::Reach, path::SharePath, text::visible,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::shown::{show_progress, show_report, tell_apart};
use super::{
    catalog::{open_catalog, send},
    watch::watch,
};
use crate::{
    catalog::{Catalog, CatalogError, Share, ShareId},
    cli::{
        args::{ShareArgs, UnshareArgs},
        context::Context,
        exit::{CliError, Exit},
        output::count,
    },
    share::{NamedGroup, ShareError, ShareOptions, Sharer, UnshareTarget},
};

pub(crate) async fn share(
    context: &Context,
    args: ShareArgs,
    cancel: &CancellationToken,
) -> Result<(), CliError> {
    let visibility = args.visibility.visibility();
    let reach = find_group(context, visibility.as_ref()).await?;
    let catalog = open_catalog(context).await?;
    let follower = Sharer::new(catalog.clone(), &context.dir);
    let sharer = if args.rehash { follower.clone().rehashing() } else { follower.clone() };
    let options = ShareOptions {
        visibility,
        reach,
        other_group: args.new_group,
        hidden: args.hidden.then_some(true),
        follow_links: None,
        watched: args.watched(),
    };
    let before = catalog.shares().await?;
    // What is named before a mistake is shared like any other, and what is shared already whatever else is wrong.
    let (mut reports, mut failures) = (Vec::new(), Vec::new());
    if args.paths.is_empty() {
        for share in catalog.shares().await? {
            if let Some(watched) = args.watched() {
                catalog.set_watched(share.id, watched).await?;
            }
            let (shown, events) = show_progress(context.output, &share.root);
            let report = sharer.rescan(share.id, &events, cancel).await;
            shown.finish();
            match report {
                Ok(report) => reports.push(report),
                Err(error) => failures.push(CliError::from(error)),
            }
        }
    }
    for path in &args.paths {
        let (shown, events) = show_progress(context.output, path);
        let report = sharer.share(path, &options, &events, cancel).await;
        shown.finish();
        match report {
            Ok(report) => reports.push(report),
            Err(error) => {
                failures.push(CliError::from(error));
                break;
            }
        }
    }
    let shares = catalog.shares().await?;
    for report in &reports {
        show_report(context, report, &before);
        tell_apart(context.output, &report.share, &shares);
    }
    let last = failures.pop();
    for failure in &failures {
        context.output.warn(visible(&failure.message));
    }
    if reports.is_empty() {
        if let Some(failure) = last {
            return Err(failure);
        }
        context
            .output
            .note("Nothing is shared yet. Share something with: p2pshare-peer share PATH");
    }
    if let Some(stopped) = reports.iter().find(|report| report.cancelled) {
        let root = stopped.share.root.display().to_string();
        let goes_on =
            if context.dir.is_served()? { ", and the running peer goes on with it" } else { "" };
        return Err(CliError::failed(format!("stopped: {root} stays shared{goes_on}")).hint(format!(
            "end that with: p2pshare-peer unshare '{root}'; or run the same command again to go on"
        )));
    }
    publish(context, catalog.clone()).await?;
    if let Some(failure) = last {
        return Err(failure);
    }
    if args.watch {
        return watch(context, follower, cancel).await;
    }
    let shared: Vec<_> = reports.iter().map(|report| report.share.id).collect();
    match unpublished(&catalog, &shared).await? {
        0 => Ok(()),
        files => Err(CliError::failed(format!(
            "{} shared here could not be published: others cannot find them",
            count(files, "file")
        ))
        .hint("`p2pshare-peer shares` says which and why")),
    }
}

/// How many files of these shares the index did not take.
async fn unpublished(catalog: &Catalog, shares: &[ShareId]) -> Result<u64, CatalogError> {
    let mut files = 0;
    for share in catalog.shares().await? {
        if share.refused.is_some() && shares.contains(&share.id) {
            files += catalog.totals(share.id).await?.pending;
        }
    }
    Ok(files)
}

/// Which group is to see what is shared, if it is for one and as far as the index can be asked: the user must be in it.
async fn find_group(
    context: &Context,
    visibility: Option<&Visibility>,
) -> Result<Option<Reach>, CliError> {
    let client = context.session_client().ok().map(|(_, client)| client);
    match NamedGroup::find(visibility, client.as_ref()).await {
        None => Ok(None),
        Some(NamedGroup::Known(reach)) => Ok(Some(reach)),
        Some(NamedGroup::Missing(group)) => Err(CliError::new(
            Exit::NotFound,
            format!("you are in no group {group}: nothing was shared or changed"),
        )
        .hint(format!(
            "`p2pshare-peer group list` lists your groups, `p2pshare-peer group create {group}` makes one"
        ))),
        Some(NamedGroup::Unknown(group, why)) => {
            context.output.warn(format!(
                "which group is meant cannot be asked ({}): it will be the {group} that you are in when this is published",
                visible(&why)
            ));
            Ok(None)
        }
    }
}

pub(crate) async fn unshare(context: &Context, args: UnshareArgs) -> Result<(), CliError> {
    let catalog = open_catalog(context).await?;
    let sharer = Sharer::new(catalog.clone(), &context.dir);
    for text in &args.what {
        let target = unshare_target(text);
        let unshared = match sharer.unshare(&target).await {
            // It may be the place of something that is gone.
            Err(ShareError::NotShared(_)) if matches!(target, UnshareTarget::Path(_)) => {
                sharer.unshare(&UnshareTarget::Local(PathBuf::from(text))).await
            }
            other => other,
        }?;
        context.output.line(format!(
            "Unshared {}: {}.",
            visible(text),
            count(unshared.files, "file")
        ));
        if unshared.shares.is_empty() {
            context.output.note(
                "It stays left out of the folder that it is in, until that is unshared and shared anew.",
            );
        }
        context.output.event("unshared", json!({ "what": text, "files": unshared.files }));
    }
    if context.session_client().is_err_and(|error| error.exit == Exit::NotLoggedIn) {
        let then = "Whoever logs in here next and shares or serves has the index forget it.";
        return tell_pending(context, &catalog, then).await;
    }
    publish(context, catalog).await
}

/// Tells the index what is new, if somebody is logged in, and says what to do next.
async fn publish(context: &Context, catalog: Catalog) -> Result<(), CliError> {
    if context.session_client().is_err_and(|error| error.exit == Exit::NotLoggedIn) {
        let then = "It will be published once you log in and share or serve.";
        return tell_pending(context, &catalog, then).await;
    }
    if let Err(error) = send(context, &catalog).await {
        if error.exit == Exit::Failed {
            context.output.note(
                "This is kept here, and the running peer, or `p2pshare-peer share`, tells the index later; until then others \
                 find what they found before.",
            );
        }
        return Err(error);
    }
    if !context.dir.is_served()? && catalog.published_count().await? > 0 {
        context.output.note("To let others fetch it, run: p2pshare-peer serve");
    }
    Ok(())
}

/// Says that the index is not told, for nobody is logged in, and when it will be.
async fn tell_pending(context: &Context, catalog: &Catalog, then: &str) -> Result<(), CliError> {
    context.output.note(then);
    context.output.event("pending", json!({ "files": catalog.pending_count().await? }));
    Ok(())
}

/// What others call a share, if that is not how its file or folder is called: begins with a space.
pub(super) fn other_name(share: &Share) -> String {
    match share.root.file_name().is_some_and(|name| name == share.name.as_str()) {
        true => String::new(),
        false => format!(" as {}", visible(share.name.as_str())),
    }
}

/// What a person means: a content id, a path that exists or existed here, or a name that others see.
fn unshare_target(text: &str) -> UnshareTarget {
    if let Ok(content) = text.parse::<ContentId>() {
        return UnshareTarget::Content(content);
    }
    let path = PathBuf::from(text);
    if path.symlink_metadata().is_err()
        && let Ok(name) = SharePath::parse(text.trim_matches('/'))
        && !path.is_absolute()
    {
        return UnshareTarget::Path(name);
    }
    UnshareTarget::Local(path)
}

impl From<ShareError> for CliError {
    fn from(error: ShareError) -> Self {
        if matches!(error, ShareError::Catalog(CatalogError::OtherGroup { .. })) {
            return Self::failed(error)
                .hint("if the group is meant that has the name now, add --new-group");
        }
        let exit = match &error {
            ShareError::NotFound(_) | ShareError::NotShared(_) | ShareError::NoShare => {
                Exit::NotFound
            }
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}
