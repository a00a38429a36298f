//! `group`: who owns which group, directly in the store.

use p2pshare_core::{api::Group, index::Index};
use serde_json::json;

use super::{
    args::{GroupArgs, GroupCommand},
    config::for_stored,
    error::CliError,
    logging, print, runtime,
    users::existing,
};

/// Does one command.
pub(super) fn run(args: GroupArgs) -> Result<(), CliError> {
    let (data, log) = for_stored(args.tool, "groups")?;
    let command = args.command;
    logging::start(log);
    runtime()?.block_on(async { work(&existing(&data).await?, command).await })
}

async fn work(index: &Index, command: GroupCommand) -> Result<(), CliError> {
    match command {
        GroupCommand::List { json } => {
            for (group, members) in index.all_groups().await.map_err(CliError::Index)? {
                print(&told(&group, members, json))?;
            }
            Ok(())
        }
        GroupCommand::Transfer { group, user } => {
            index.set_group_owner(&group, &user).await.map_err(CliError::Index)?;
            tracing::info!(
                target: "audit", event = "admin-group-transfer", user = user.as_str(), subject = group.as_str(),
                client = "console", outcome = "done"
            );
            print(&format!("{user} owns group {group} now; invites of others into it have ended"))
        }
    }
}

fn told(group: &Group, members: u64, as_json: bool) -> String {
    let Group { name, owner, .. } = group;
    match as_json {
        true => json!({ "name": name, "owner": owner, "members": members }).to_string(),
        false => format!("{name}  {members} members, owned by {owner}"),
    }
}
