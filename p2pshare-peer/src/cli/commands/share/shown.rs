//! What `share` says of what it does.

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use p2pshare_core::text::visible;
use serde_json::json;

use super::other_name;
use crate::{
    catalog::Share,
    cli::{
        context::Context,
        output::{Output, bytes, count},
        progress::Progress,
    },
    share::{ShareEvent, ShareEvents, ShareReport, SkipReason, absent},
};

/// Most files of which it is told that they are not shared.
const TOLD: u64 = 20;

/// Says what lies in a share and is not shared with it, for it is shared for fewer by itself.
pub(super) fn tell_apart(output: Output, share: &Share, shares: &[Share]) {
    let shown = |share: &Share| visible(&share.root.display().to_string()).to_string();
    for other in shares {
        for (inner, outer) in [(share, other), (other, share)] {
            if inner.is_apart_from(outer) {
                output.note(format!(
                    "{} is for {} alone: it is left out of {} ({}).",
                    shown(inner),
                    inner.visibility,
                    shown(outer),
                    outer.visibility
                ));
            }
        }
    }
}

pub(super) fn show_report(context: &Context, report: &ShareReport, before: &[Share]) {
    let Share { root, visibility, .. } = &report.share;
    let was = before.iter().find(|share| share.id == report.share.id);
    let was = was.map(|share| &share.visibility).filter(|was| *was != visibility);
    let mut parts = vec![count(report.files, "file")];
    if report.hashed > 0 {
        parts.push(format!("{} hashed ({})", report.hashed, bytes(report.hashed_bytes)));
    }
    for (number, what) in
        [(report.moved, "moved"), (report.removed, "gone"), (report.skipped, "skipped")]
    {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    let as_name = other_name(&report.share);
    let root = root.display().to_string();
    match report.share.online {
        true => context.output.line(format!(
            "{} {}{as_name} ({visibility}): {}.",
            if report.cancelled { "Began to share" } else { "Shared" },
            visible(&root),
            parts.join(", ")
        )),
        false => context.output.warn(absent(&report.share, report.usurped)),
    }
    if let Some(was) = was {
        context.output.note(format!("It was {was}, and is {visibility} now."));
    }
    context.output.event(
        "shared",
        json!({
            "root": root,
            "name": report.share.name,
            "visibility": visibility,
            "was": was,
            "online": report.share.online,
            "files": report.files,
            "unchanged": report.unchanged,
            "moved": report.moved,
            "hashed": report.hashed,
            "hashed_bytes": report.hashed_bytes,
            "rewritten": report.rewritten,
            "removed": report.removed,
            "skipped": report.skipped,
            "cancelled": report.cancelled,
        }),
    );
}

/// A progress bar and the events that move it.
pub(super) fn show_progress(output: Output, path: &Path) -> (Arc<Progress>, ShareEvents) {
    let shown = Arc::new(output.progress("Hashing", None));
    let (done, total) = (AtomicU64::new(0), AtomicU64::new(0));
    let data_dirs = Mutex::new(HashSet::new());
    let left_out = AtomicU64::new(0);
    let bar = shown.clone();
    bar.message(&path.display().to_string());
    let events = move |event: ShareEvent| {
        match event {
        ShareEvent::Waiting => {
            bar.note("Another p2pshare-peer looks through the same: waiting for it.");
        }
        ShareEvent::Scanned { bytes, .. } => {
            total.store(bytes, Relaxed);
            bar.set(0, bytes);
        }
        ShareEvent::Hashing { local, .. } => bar.message(&file_name(&local)),
        ShareEvent::Hashed { bytes } => {
            let done = done.fetch_add(bytes, Relaxed).saturating_add(bytes);
            bar.set(done, total.load(Relaxed));
        }
        ShareEvent::Retrying { bytes, .. } => {
            done.fetch_sub(bytes, Relaxed);
        }
        ShareEvent::Shared { local, path, content, bytes, hashed } => output.event(
            "file",
            json!({
                "local": local.display().to_string(),
                "path": path,
                "content": content,
                "size": bytes,
                "hashed": hashed,
            }),
        ),
        ShareEvent::Rewritten { local } => bar.warn(format!(
            "{} has other bytes than when it was hashed, though its size and time are the same: a program wrote to it, \
             or its disk is failing",
            visible(&local.display().to_string())
        )),
        ShareEvent::Renamed { local, path } => {
            bar.note(format!("{} is shared as {path}", visible(&local.display().to_string())));
        }
        ShareEvent::Skipped { local, reason: SkipReason::BadPatterns(fault) } => {
            bar.warn(format!("{}: {}", visible(&local.display().to_string()), visible(&fault)));
        }
        ShareEvent::Skipped { local, reason: SkipReason::NotNow(error) } => bar.warn(format!(
            "{} cannot be read at the moment, and stays as it is known: {error}",
            visible(&local.display().to_string())
        )),
        // One line for all that lies in a data directory.
        ShareEvent::Skipped { local, reason: SkipReason::OwnData } => {
            let folder = local.parent().unwrap_or(&local).to_owned();
            let mut told = data_dirs.lock().unwrap_or_else(PoisonError::into_inner);
            if told.insert(folder.clone()) {
                let (folder, reason) = (folder.display().to_string(), SkipReason::OwnData);
                bar.warn(format!("what is in {} is not shared: {reason}", visible(&folder)));
            }
        }
        ShareEvent::Skipped { local, reason } => match left_out.fetch_add(1, Relaxed) {
            told if told < TOLD || output.is_json() => {
                bar.warn(format!("{} is not shared: {reason}", visible(&local.display().to_string())));
            }
            TOLD => bar.warn("and more are not shared: --json names all of them"),
            _ => {}
        },
        _ => {}
    }
    };
    (shown, Arc::new(events))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
