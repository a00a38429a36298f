//! `keys`: the keys that sign grants.

use std::{path::Path, time::Duration};

use p2pshare_core::{
    auth::{GrantSigner, SigningKeys},
    private_file,
    time::{Clock, SystemClock, Timestamp},
};
use serde_json::json;

use super::{
    args::{KeysArgs, KeysCommand},
    config::for_tool,
    error::CliError,
    logging, print,
    span::Span,
};
use crate::keys::{load, save};

/// Longer than any grant: the configuration of the index that runs is not known here.
const LONGEST_GRANT: Duration = Duration::from_secs(24 * 60 * 60);

/// Does one command.
pub(super) fn run(args: KeysArgs) -> Result<(), CliError> {
    let (data, log) = for_tool(args.tool)?;
    let command = args.command;
    logging::start(log);
    let path = data.key_file.ok_or_else(|| {
        CliError::Usage(
            "an index that keeps nothing has no key file: name one with --key-file or --data-dir"
                .to_owned(),
        )
    })?;
    match command {
        KeysCommand::List { json } => list(&path, json),
        KeysCommand::Rotate { after, distrust_old } => rotate(&path, after, distrust_old),
    }
}

fn list(path: &Path, json: bool) -> Result<(), CliError> {
    let keys = existing(path)?;
    let now = SystemClock.now();
    let signing = keys.signer(now).key_id();
    for key in keys.keys() {
        let (id, from) = (key.signer.key_id(), key.signs_from);
        let state = match key {
            _ if id == signing => "signs",
            key if key.signs_from > now => "will sign",
            _ => "signed",
        };
        if json {
            print(&json!({ "key": id, "state": state, "signs_from": from }).to_string())?;
        } else {
            // The first one was there before there was anything to sign.
            let from = match from {
                Timestamp::EPOCH => "from the beginning".to_owned(),
                from => format!("from {from}"),
            };
            print(&format!("{id}  {state:<9}  {from}"))?;
        }
    }
    Ok(())
}

fn rotate(path: &Path, after: Span, distrust_old: bool) -> Result<(), CliError> {
    // No lock is made beside what holds no keys.
    existing(path)?;
    // Of two at the same time the second adds to what the first has written.
    let _lock = private_file::lock(path)?;
    let mut keys = existing(path)?;
    let signer = GrantSigner::generate()?;
    let id = signer.key_id();
    let now = SystemClock.now();
    let from = if distrust_old { now } else { now.saturating_add(after.0) };
    if distrust_old {
        keys = SigningKeys::new(signer);
    } else {
        keys.add(signer, from, now, LONGEST_GRANT)
            .map_err(|error| CliError::Failed(error.to_string()))?;
    }
    save(path, &keys)?;
    tracing::info!(target: "audit", event = "admin-rotate-keys", key = %id, client = "console", outcome = "done");
    print(&format!("the key {id} signs from {from} on; an index that runs follows at once"))?;
    if distrust_old {
        print("peers do not trust it: tell your users to log in again with --accept-new-key")?;
    }
    Ok(())
}

fn existing(path: &Path) -> Result<SigningKeys, CliError> {
    load(path)?.ok_or_else(|| {
        CliError::file(
            path,
            "there is no such file: `p2pshare-index serve` makes it at its first start",
        )
    })
}
