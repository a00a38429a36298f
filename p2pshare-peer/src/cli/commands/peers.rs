//! `peers`: one's own peers at the index.

use p2pshare_core::{api::PeerOverview, identity::PeerId};
use serde_json::json;

use crate::cli::{
    args::PeersCommand,
    context::Context,
    exit::{CliError, Exit},
    output::count,
};

pub(crate) async fn run(context: &Context, command: PeersCommand) -> Result<(), CliError> {
    let (_, client) = context.session_client()?;
    let here = context.dir.peer_key()?.peer_id();
    let peers = client.own_peers().await?.peers;
    match command {
        PeersCommand::List => {
            if peers.is_empty() {
                context
                    .output
                    .note("You have no peer at this index: `p2pshare-peer share` makes one.");
            }
            for peer in peers {
                let here = if peer.id == here { ", of this data directory" } else { "" };
                let files = count(peer.entries, "file");
                let (id, seen) = (peer.id.short(), seen(&peer));
                context.output.line(format!("{id}  {files}, {seen}{here}"));
                context.output.event("peer", &peer);
            }
        }
        PeersCommand::Remove { id } => {
            let peer = find(&peers, &id)?;
            if peer.id == here {
                return Err(CliError::new(
                    Exit::Failed,
                    "this is the peer of this data directory, and would come back: `unshare` what it shares, or log out \
                     here and remove it from another one",
                ));
            }
            client.forget_peer(&peer.id).await?;
            context.output.line(format!(
                "Removed {}: {} can no longer be found.",
                peer.id.short(),
                count(peer.entries, "file")
            ));
            if peer.online {
                context.output.warn(
                    "it was online: while it runs and is logged in it comes back. `logout --everywhere` ends all of your \
                     sessions",
                );
            }
            context.output.event("peer_removed", json!({ "id": peer.id, "files": peer.entries }));
        }
    }
    Ok(())
}

fn seen(peer: &PeerOverview) -> String {
    match peer.last_seen {
        _ if peer.online => "online".to_owned(),
        Some(seen) => format!("last seen {seen}"),
        None => format!("offline, was online {}", peer.announced_at),
    }
}

/// The one peer whose id begins so.
fn find<'a>(peers: &'a [PeerOverview], beginning: &str) -> Result<&'a PeerOverview, CliError> {
    let begins = |id: &PeerId| id.to_string().starts_with(&beginning.to_lowercase());
    let mut found = peers.iter().filter(|peer| begins(&peer.id));
    match (found.next(), found.next()) {
        (Some(peer), None) if !beginning.is_empty() => Ok(peer),
        (Some(_), Some(_)) => Err(CliError::new(
            Exit::Usage,
            format!("several of your peers begin with {beginning:?}: give more of the id"),
        )),
        _ => Err(CliError::new(
            Exit::NotFound,
            format!("no peer of yours begins with {beginning:?}: `p2pshare-peer peers` lists them"),
        )),
    }
}
