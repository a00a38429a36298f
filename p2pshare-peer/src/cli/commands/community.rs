//! `group` and `invite`.

use p2pshare_core::{
    api::{AddMember, CreateGroup, CreateInvite, TransferGroup, Visibility},
    identity::{GroupName, Username},
};
use serde_json::json;

use super::catalog::{open_catalog, send};
use crate::cli::{
    args::{GroupCommand, InviteCommand},
    context::Context,
    exit::CliError,
    output::count,
};

pub(crate) async fn group(context: &Context, command: GroupCommand) -> Result<(), CliError> {
    let (session, client) = context.session_client()?;
    match command {
        GroupCommand::Create { group } => {
            let group = client.create_group(&CreateGroup { name: group }).await?;
            context.output.line(format!(
                "Made group {}. Share with it: share --group {} PATH",
                group.name, group.name
            ));
            context.output.event("group", &group);
        }
        GroupCommand::Add { group, user } => {
            client.add_member(&group, &AddMember { username: user.clone() }).await?;
            changed(context, "added", &group, &user);
        }
        GroupCommand::Remove { group, user } => {
            client.remove_member(&group, &user).await?;
            changed(context, "removed", &group, &user);
        }
        GroupCommand::Leave { group } => {
            client.remove_member(&group, &session.username).await?;
            changed(context, "left", &group, &session.username);
            tell_of_shares(context, &group).await?;
        }
        GroupCommand::List => {
            let groups = client.groups().await?.groups;
            if groups.is_empty() {
                context.output.note("You are in no group; `p2pshare-peer group create` makes one.");
            }
            for group in groups {
                let owner =
                    if group.owner == session.username { "you" } else { group.owner.as_str() };
                context.output.line(format!("{}  (owner: {owner})", group.name));
                context.output.event("group", &group);
            }
        }
        GroupCommand::Members { group } => {
            for member in client.group_members(&group).await?.members {
                context.output.line(&member);
                context.output.event("member", json!({ "group": group, "username": member }));
            }
        }
        GroupCommand::Transfer { group, user } => {
            let invites = client.invites().await?.invites;
            let ending = invites.iter().filter(|invite| invite.group.as_ref() == Some(&group));
            let ending = ending.count() as u64;
            client.transfer_group(&group, &TransferGroup { owner: user.clone() }).await?;
            changed(context, "owns", &group, &user);
            if ending > 0 {
                let invites = count(ending, "invite");
                context.output.note(format!("{invites} of yours into it ended with that."));
            }
        }
        GroupCommand::Delete { group } => {
            client.delete_group(&group).await?;
            context.output.line(format!("Deleted group {group}."));
            context.output.event("group_deleted", json!({ "group": group }));
            tell_of_shares(context, &group).await?;
        }
    }
    Ok(())
}

/// Says what of one's own was for a group that one is in no more, and keeps in mind that nobody finds it.
async fn tell_of_shares(context: &Context, group: &GroupName) -> Result<(), CliError> {
    let catalog = open_catalog(context).await?;
    let visibility = Visibility::Group(group.clone());
    if catalog.shares().await?.iter().any(|share| share.visibility == visibility) {
        send(context, &catalog).await?;
    }
    Ok(())
}

fn changed(context: &Context, what: &str, group: &GroupName, user: &Username) {
    context.output.line(match what {
        "added" => format!("{user} is in group {group} now."),
        "owns" => format!("{user} owns group {group} now."),
        _ => format!("{user} is no longer in group {group}."),
    });
    context
        .output
        .event("member_changed", json!({ "change": what, "group": group, "username": user }));
}

pub(crate) async fn invite(context: &Context, command: InviteCommand) -> Result<(), CliError> {
    let (_, client) = context.session_client()?;
    match command {
        InviteCommand::Create { uses, hours, group } => {
            let valid_seconds = hours.map(|hours| hours.saturating_mul(3600));
            let created =
                client.create_invite(&CreateInvite { uses, valid_seconds, group }).await?;
            context.output.line(&created.code);
            context.output.note(format!(
                "Good for {} until {}. To use it: p2pshare-peer --index {} register USER --invite {}",
                count(created.invite.uses_left.into(), "account"),
                created.invite.expires_at,
                client.url(),
                created.code,
            ));
            context.output.event("invite_created", &created);
        }
        InviteCommand::List => {
            let invites = client.invites().await?.invites;
            if invites.is_empty() {
                context.output.note("No invite of yours is good at the moment.");
            }
            for invite in invites {
                let group = invite
                    .group
                    .as_ref()
                    .map_or(String::new(), |group| format!(", into group {group}"));
                context.output.line(format!(
                    "{}  {} left, until {}{group}",
                    invite.id,
                    count(invite.uses_left.into(), "use"),
                    invite.expires_at,
                ));
                context.output.event("invite", &invite);
            }
        }
        InviteCommand::Revoke { id } => {
            client.revoke_invite(&id).await?;
            context.output.line("Revoked.");
            context.output.event("invite_revoked", json!({ "id": id }));
        }
    }
    Ok(())
}
