//! `user`: accounts, directly in the store.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    path::{self, Path, PathBuf},
    sync::Arc,
};

use p2pshare_core::{
    api::{Account, Group},
    auth::{Argon2Authenticator, Argon2Params, GrantSigner, SigningKeys},
    identity::Username,
    index::{Index, IndexConfig, store::IndexStore},
    private_file,
    process::owner_unlike_root,
    time::SystemClock,
};

use super::{
    args::{UserArgs, UserCommand},
    config::{Data, for_stored},
    error::CliError,
    logging,
    password::new_password,
    print, runtime,
    store::StoreUri,
};

/// Longest answer that is read.
const MAX_ANSWER: u64 = 100;

/// Does one command.
pub(super) fn run(args: UserArgs) -> Result<(), CliError> {
    let (data, log) = for_stored(args.tool, "accounts")?;
    let command = args.command;
    logging::start(log);
    runtime()?.block_on(work(&data, command))
}

async fn work(data: &Data, command: UserCommand) -> Result<(), CliError> {
    match command {
        UserCommand::List { json } => list(&existing(data).await?, json).await,
        UserCommand::Disable { user } => {
            let index = existing(data).await?;
            index.set_disabled(&user, true).await.map_err(CliError::Index)?;
            done(
                "admin-disable",
                &user,
                "is disabled: its sessions have ended, what it published is withdrawn",
            )?;
            tell_if_nobody_operates(&index).await
        }
        UserCommand::Delete { user, yes } => {
            let index = existing(data).await?;
            let owned = index.groups_owned_by(&user).await.map_err(CliError::Index)?;
            sure(&user, &owned, yes)?;
            index.delete_user(&user).await.map_err(CliError::Index)?;
            done(
                "admin-delete",
                &user,
                "is deleted, with all it published and the groups that it owned",
            )?;
            tell_if_nobody_operates(&index).await
        }
        UserCommand::Enable { user } => {
            existing(data).await?.set_disabled(&user, false).await.map_err(CliError::Index)?;
            done(
                "admin-enable",
                &user,
                "is enabled: it can log in again, and its peers publish their files anew when they run",
            )
        }
        UserCommand::Promote { user } => {
            existing(data).await?.set_operator(&user, true).await.map_err(CliError::Index)?;
            done("admin-promote", &user, "is an operator")
        }
        UserCommand::Demote { user } => {
            let index = existing(data).await?;
            index.set_operator(&user, false).await.map_err(CliError::Index)?;
            done("admin-demote", &user, "is no operator any more")?;
            tell_if_nobody_operates(&index).await
        }
        UserCommand::ResetPassword { user, password_stdin } => {
            let password = new_password(password_stdin)?;
            existing(data).await?.reset_password(&user, password).await.map_err(CliError::Index)?;
            done("admin-reset-password", &user, "has a new password, its sessions have ended")
        }
        UserCommand::Create { user, admin, password_stdin } => {
            let password = new_password(password_stdin)?;
            existing_or_new(data)
                .await?
                .create_account(&user, password, admin)
                .await
                .map_err(CliError::Index)?;
            let what = if admin { "was made, as an operator" } else { "was made" };
            done("admin-create", &user, what)
        }
    }
}

/// The rules over a store that is there already.
pub(super) async fn existing(data: &Data) -> Result<Index, CliError> {
    over(data.store.open_existing().await?)
}

/// The rules over the store, which is made if it is not there: the first account can come before the index first runs.
///
/// Root makes none in the folder of another user, whose index could not use it.
async fn existing_or_new(data: &Data) -> Result<Index, CliError> {
    if let StoreUri::Sqlite(path) = &data.store
        && matches!(path.try_exists(), Ok(false))
        && let Some(folder) = path::absolute(path).ok().and_then(|path| first_that_is_there(&path))
        && let Ok(Some(owner)) = owner_unlike_root(&folder)
    {
        return Err(CliError::Failed(format!(
            "{} has no store yet, and its folder belongs to another user (number {owner}), whose index could not use one \
             that root makes: run this as that user (sudo -u '#{owner}' …), or start the index first",
            path.display()
        )));
    }
    if let Some(dir) = &data.dir {
        private_file::create_dir(dir)?;
    }
    over(data.store.open().await?)
}

/// The nearest folder above a path that is there.
fn first_that_is_there(path: &Path) -> Option<PathBuf> {
    path.ancestors().skip(1).find(|folder| folder.is_dir()).map(Path::to_path_buf)
}

/// The key signs nothing here.
fn over(store: Arc<dyn IndexStore>) -> Result<Index, CliError> {
    let signer = GrantSigner::generate()?;
    Ok(Index::new(
        store,
        Arc::new(Argon2Authenticator::new(Argon2Params::default())),
        SigningKeys::new(signer),
        Arc::new(SystemClock),
        IndexConfig::default(),
    ))
}

async fn tell_if_nobody_operates(index: &Index) -> Result<(), CliError> {
    if has_operator(index).await? {
        return Ok(());
    }
    print("Nobody operates this index now: `p2pshare-index user promote USER` makes an operator.")
}

async fn has_operator(index: &Index) -> Result<bool, CliError> {
    let mut after: Option<Username> = None;
    loop {
        let page = index.accounts(after.as_ref()).await.map_err(CliError::Index)?;
        let Some(last) = page.last() else {
            return Ok(false);
        };
        after = Some(last.username.clone());
        if page.iter().any(|account| account.operator && !account.disabled) {
            return Ok(true);
        }
    }
}

async fn list(index: &Index, json: bool) -> Result<(), CliError> {
    let mut after: Option<Username> = None;
    loop {
        let page = index.accounts(after.as_ref()).await.map_err(CliError::Index)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.username.clone());
        for account in &page {
            print(&line(account, json)?)?;
        }
    }
}

fn line(account: &Account, json: bool) -> Result<String, CliError> {
    if json {
        return serde_json::to_string(account)
            .map_err(|error| CliError::Failed(format!("the account cannot be written: {error}")));
    }
    let role = if account.operator { "operator" } else { "user" };
    let state = if account.disabled { "disabled" } else { "enabled" };
    Ok(format!("{:<32}  {role:<8}  {state:<8}  {}", account.username.as_str(), account.created_at))
}

/// That what cannot be undone is meant.
fn sure(user: &Username, owned: &[(Group, u64)], yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    let groups = match owned {
        [] => String::new(),
        owned => {
            let told = owned.iter().map(|(group, members)| format!("{} of {members}", group.name));
            let told: Vec<_> = told.collect();
            format!(
                ", and with what is shared with its groups ({}; `p2pshare-index group transfer` keeps one)",
                told.join(", ")
            )
        }
    };
    let what = format!("{user}, with all it published{groups}");
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!(
            "there is no terminal to ask whether to delete {what}: say so with --yes"
        )));
    }
    let mut answer = String::new();
    let mut ask = || {
        write!(io::stderr(), "Delete {what}? [y/N] ")?;
        io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer)
    };
    ask().map_err(|error| CliError::Failed(format!("the answer cannot be read: {error}")))?;
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(CliError::Failed(format!("{user} was not deleted")))
}

fn done(event: &'static str, user: &Username, what: &str) -> Result<(), CliError> {
    tracing::info!(target: "audit", event, user = user.as_str(), client = "console", outcome = "done");
    print(&format!("{user} {what}"))
}
