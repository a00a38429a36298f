//! What concerns this machine: files, disk, limits of the system.

use std::{fs, path::Path};

use crate::{
    catalog::{self, Catalog, CatalogTrouble},
    cli::{
        context::Context,
        output::{bytes, count},
    },
    data_dir::DataDir,
};

use super::Check;

/// With less free space than this downloads soon fail.
const LITTLE_SPACE: u64 = 1 << 30;

/// With less than this the catalog itself may fail.
const NO_SPACE: u64 = 64 << 20;

/// Folders that can be watched with less than this are few.
const FEW_WATCHES: u64 = 65_536;

/// The system's setting of how many folders a user's programs may watch.
const WATCHES: &str = "/proc/sys/fs/inotify/max_user_watches";

/// The system's setting of how TCP decides how fast to send.
const CONGESTION_CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

pub(super) async fn checks(context: &Context) -> Vec<Check> {
    let mut checks = vec![
        configuration(context),
        data_dir(&context.dir),
        secrets(&context.dir),
        space(&context.dir),
        catalog(&context.dir).await,
    ];
    checks.extend(shares(&context.dir).await);
    checks.extend(read_number(Path::new(WATCHES)).map(watches));
    checks.extend(fs::read_to_string(CONGESTION_CONTROL).ok().map(|it| congestion(it.trim())));
    checks
}

fn configuration(context: &Context) -> Check {
    // A file that is wrong has ended the command before.
    let said = match context.settings.path() {
        Some(path) if path.exists() => path.display().to_string(),
        _ => "no configuration file".to_owned(),
    };
    Check::ok("configuration", said)
}

fn data_dir(dir: &DataDir) -> Check {
    let path = dir.path().display();
    match tempfile::NamedTempFile::new_in(dir.path()) {
        Ok(_) => Check::ok("data directory", format!("{path} can be written")),
        Err(error) => Check::fail("data directory", format!("{path} cannot be written: {error}"))
            .advice("make it writable for this user, or choose another with --data-dir"),
    }
}

fn secrets(dir: &DataDir) -> Check {
    match dir.check_secrets() {
        Ok(number) => {
            let number = count(number as u64, "secret file");
            Check::ok("private files", format!("{number}, for this user only"))
        }
        Err(error) => Check::fail("private files", error.to_string()),
    }
}

#[cfg(unix)]
fn space(dir: &DataDir) -> Check {
    let free = match rustix::fs::statvfs(dir.path()) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => return Check::warn("disk", format!("its free space is not known: {error}")),
    };
    let said = format!("{} free at the data directory", bytes(free));
    let advice = "make room: the catalog of shares and unfinished downloads are written there";
    match free {
        0..NO_SPACE => Check::fail("disk", said).advice(advice),
        NO_SPACE..LITTLE_SPACE => Check::warn("disk", said).advice(advice),
        _ => Check::ok("disk", said),
    }
}

#[cfg(not(unix))]
fn space(_dir: &DataDir) -> Check {
    Check::ok("disk", "its free space is not looked at on this system")
}

async fn catalog(dir: &DataDir) -> Check {
    let path = dir.catalog();
    if !path.exists() {
        return Check::ok("catalog", "nothing was shared yet");
    }
    let checked = tokio::task::spawn_blocking({
        let path = path.clone();
        move || catalog::check_integrity(&path)
    });
    match checked.await {
        Ok(Ok(())) => Check::ok("catalog", format!("{} is intact", path.display())),
        Ok(Err(error)) => {
            let advice = match error {
                CatalogTrouble::Damaged(_) => {
                    "stop the peer, move the file away and share anew: what is shared with whom must be told again"
                }
                CatalogTrouble::Unusable(_) => {
                    "let this user read and write the file and its folder, and see whether the disk works"
                }
            };
            Check::fail("catalog", format!("{}: {error}", path.display())).advice(advice)
        }
        Err(error) => Check::fail("catalog", format!("it could not be checked: {error}")),
    }
}

/// The shares that are not there, or of which the index did not take all, each by itself.
async fn shares(dir: &DataDir) -> Vec<Check> {
    let path = dir.catalog();
    if !path.exists() {
        return Vec::new();
    }
    let opened = tokio::task::spawn_blocking(move || Catalog::open(&path)).await;
    // A catalog that cannot be opened has been told before.
    let Ok(Ok(catalog)) = opened else {
        return Vec::new();
    };
    let mut checks = Vec::new();
    for share in catalog.shares().await.unwrap_or_default() {
        if !share.online || share.root.symlink_metadata().is_err() {
            let root = share.root.display();
            checks.push(Check::warn("share", format!("{root} is not there")).advice(
                "its files are offered again once it is back; `p2pshare-peer unshare` forgets it",
            ));
        }
        let (Some(why), Ok(totals)) = (share.refused, catalog.totals(share.id).await) else {
            continue;
        };
        let what = count(totals.pending, "file");
        checks.push(Check::warn("share", format!("{what} of {} not published: {why}", share.name)));
    }
    checks
}

fn watches(limit: u64) -> Check {
    let said = format!("{limit} folders can be watched for changes");
    if limit >= FEW_WATCHES {
        return Check::ok("inotify", said);
    }
    Check::warn("inotify", said).advice(format!(
        "for large live folders: sysctl fs.inotify.max_user_watches={}",
        FEW_WATCHES * 8
    ))
}

fn congestion(name: &str) -> Check {
    let check = Check::ok("congestion control", name);
    if name == "bbr" {
        return check;
    }
    check.advice(
        "bbr sends faster over long or lossy lines: modprobe tcp_bbr && sysctl net.ipv4.tcp_congestion_control=bbr",
    )
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn few_watches_are_told_with_what_to_do() {
        assert_eq!(watches(1_000_000).state, State::Ok);
        let few = watches(8192);
        assert_eq!(few.state, State::Warn);
        assert!(few.advice.unwrap().contains("sysctl"));
        assert!(congestion("cubic").advice.unwrap().contains("bbr"));
        assert_eq!(congestion("bbr").advice, None);
    }
}
