//! `register`, `login`, `logout`, `password`, `delete-account`, `whoami`.

use std::io::{self, BufRead, IsTerminal, Read};

use p2pshare_core::{
    api::{ChangePassword, DeleteAccount, Login, ProblemKind, Register},
    auth::{Password, PasswordError},
    identity::Username,
};
use serde_json::json;
use zeroize::Zeroizing;

use super::{catalog::open_catalog, running::settle};
use crate::{
    account::SavedSession,
    cli::{
        args::{
            ChangePasswordArgs, DeleteAccountArgs, LoginArgs, LogoutArgs, PasswordArgs,
            RegisterArgs,
        },
        context::Context,
        exit::{CliError, Exit},
    },
    index_client::IndexClient,
    session::{self, SessionError},
};

/// Environment variable with the password.
const PASSWORD_VARIABLE: &str = "P2PSHARE_PASSWORD";

pub(crate) async fn register(context: &Context, args: RegisterArgs) -> Result<(), CliError> {
    let client = context.anonymous_client()?;
    let password = read_password(&args.password, Ask::Twice)?;
    let request =
        Register { username: args.user.clone(), password: password.clone(), invite: args.invite };
    let account = client.register(&request).await?;
    context.output.line(format!("Registered {}.", account.username));
    context.output.event("registered", &account);
    if account.operator {
        context.output.note("This is the first account of this index: it is its operator.");
    }
    open_session(context, &client, args.user, password, false).await
}

pub(crate) async fn login(context: &Context, args: LoginArgs) -> Result<(), CliError> {
    let client = context.anonymous_client()?;
    let password = read_password(&args.password, Ask::Once)?;
    open_session(context, &client, args.user, password, args.accept_new_key).await
}

async fn open_session(
    context: &Context,
    client: &IndexClient,
    username: Username,
    password: Password,
    accept_new_key: bool,
) -> Result<(), CliError> {
    let login = Login { username, password };
    let opened = session::log_in(&context.dir, client, &login, accept_new_key).await?;
    settle(&context.dir).await;
    let (session, name) = (opened.session, opened.index.name);
    context.output.line(format!(
        "Logged in as {} at {} ({}).",
        session.username,
        client.url(),
        name
    ));
    context.output.event(
        "logged_in",
        json!({ "username": session.username, "index": client.url().to_string(), "expires_at": session.expires_at }),
    );
    warn_of_another(context, &session.username).await
}

/// A peer belongs to the first user who shares or serves with it at an index: another is told before it is refused.
async fn warn_of_another(context: &Context, user: &Username) -> Result<(), CliError> {
    if !context.dir.catalog().exists() {
        return Ok(());
    }
    let before = open_catalog(context).await?.published_for().await?;
    if let Some(before) = before.filter(|before| before != user) {
        context.output.warn(format!(
            "{before} has shared from this data directory: at the same index {user} needs another one to share, serve \
             and download, with --data-dir"
        ));
    }
    Ok(())
}

pub(crate) async fn logout(context: &Context, args: LogoutArgs) -> Result<(), CliError> {
    let (session, client) = context.session_client()?;
    if args.forget {
        SavedSession::forget(&context.dir)?;
        settle(&context.dir).await;
        context.output.line(format!(
            "Forgot the session of {} here; the index ends it when it was not used for long, 30 days if its operator has \
             not said otherwise.",
            session.username
        ));
        context.output.event("logged_out", json!({ "username": session.username, "sessions": 0 }));
        return Ok(());
    }
    let ended = session::log_out(&context.dir, &client, args.everywhere).await;
    let ended = ended.map_err(|error| match error {
        SessionError::Index(error) if error.is_passing() => {
            CliError::from(error).hint(
                "check the URL and that the index runs, then try again; or drop the session here alone with --forget",
            )
        }
        other => other.into(),
    })?;
    settle(&context.dir).await;
    context.output.line(match ended {
        0 => "The session had ended already.".to_owned(),
        _ => format!("Logged out {}.", session.username),
    });
    context.output.event("logged_out", json!({ "username": session.username, "sessions": ended }));
    Ok(())
}

pub(crate) async fn change_password(
    context: &Context,
    args: &ChangePasswordArgs,
) -> Result<(), CliError> {
    let (session, client) = context.session_client()?;
    let (current, new) = match args.password_stdin {
        true => (read_line()?, read_line()?),
        false if io::stdin().is_terminal() => {
            let (current, new) = (prompt("Password until now: ")?, prompt("New password: ")?);
            if *prompt("Again: ")? != *new {
                return Err(usage("the two new passwords differ".to_owned()));
            }
            (current, new)
        }
        false => {
            return Err(usage("no passwords were given".to_owned()).hint(
                "pipe the one until now and the new one in as two lines, with --password-stdin",
            ));
        }
    };
    let request = ChangePassword {
        current: Password::new(current).map_err(not_the_password)?,
        new: Password::new(new).map_err(|error| usage(format!("the new one: {error}")))?,
    };
    client.change_password(&request).await.map_err(|error| match error.kind() {
        Some(ProblemKind::WrongCredentials) => {
            CliError::new(Exit::NotLoggedIn, "the password until now is another one")
                .hint("try again; who does not know it asks an operator of the index for a new one")
        }
        _ => error.into(),
    })?;
    context.output.line(format!(
        "{} has a new password. All other sessions have ended: log in there again.",
        session.username
    ));
    context.output.event("password_changed", json!({ "username": session.username }));
    Ok(())
}

pub(crate) async fn delete(context: &Context, args: DeleteAccountArgs) -> Result<(), CliError> {
    let (session, client) = context.session_client()?;
    if args.user != session.username {
        return Err(usage(format!(
            "you are logged in as {}, not as {}: nothing was deleted",
            session.username, args.user
        )));
    }
    let groups = client.groups().await?.groups.into_iter();
    let owned = groups.filter(|group| group.owner == session.username);
    let owned: Vec<_> = owned.map(|group| group.name.to_string()).collect();
    if !owned.is_empty() {
        context.output.warn(format!(
            "these groups end with your account, and what others share with them is not found any more: {} (`group \
             transfer` gives one to another member)",
            owned.join(", ")
        ));
    }
    let password = read_password(&args.password, Ask::Once)?;
    client.delete_account(&DeleteAccount { password }).await?;
    SavedSession::forget(&context.dir)?;
    settle(&context.dir).await;
    context.output.line(format!(
        "Deleted the account {} with all that it published. Your files stay where they are.",
        session.username
    ));
    context.output.event("account_deleted", json!({ "username": session.username }));
    Ok(())
}

pub(crate) async fn whoami(context: &Context) -> Result<(), CliError> {
    let (_, client) = context.session_client()?;
    let account = client.me().await?;
    let role = if account.operator { ", operator" } else { "" };
    context.output.line(format!("{}{role} at {}", account.username, client.url()));
    context
        .output
        .event("account", json!({ "account": account, "index": client.url().to_string() }));
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Once,
    Twice,
}

/// Reads a password: from standard input if told so, else from the environment, else from a prompt.
fn read_password(args: &PasswordArgs, ask: Ask) -> Result<Password, CliError> {
    let text = if args.password_stdin {
        read_line()?
    } else if let Ok(password) = std::env::var(PASSWORD_VARIABLE) {
        Zeroizing::new(password)
    } else if io::stdin().is_terminal() {
        prompt("Password: ")?
    } else {
        return Err(usage("no password was given".to_owned())
            .hint(format!("pipe it in with --password-stdin, or set {PASSWORD_VARIABLE}")));
    };
    let prompted = !args.password_stdin && std::env::var_os(PASSWORD_VARIABLE).is_none();
    if ask == Ask::Twice && prompted && *prompt("Again: ")? != *text {
        return Err(usage("the two passwords differ".to_owned()));
    }
    Password::new(text).map_err(|error| match ask {
        Ask::Twice => usage(error.to_string()),
        Ask::Once => not_the_password(error),
    })
}

/// Nobody has such a password, so it is a wrong one like others.
fn not_the_password(error: PasswordError) -> CliError {
    CliError::new(Exit::NotLoggedIn, format!("this is not the password: {error}"))
}

/// The next line of standard input, however it ends.
fn read_line() -> Result<Zeroizing<String>, CliError> {
    let mut line = Zeroizing::new(String::new());
    let mut input = io::stdin().lock().take(4096);
    input
        .read_line(&mut line)
        .map_err(|error| usage(format!("reading the password failed: {error}")))?;
    Ok(Zeroizing::new(line.trim_end_matches(['\n', '\r']).to_owned()))
}

fn prompt(text: &str) -> Result<Zeroizing<String>, CliError> {
    rpassword::prompt_password(text)
        .map(Zeroizing::new)
        .map_err(|error| usage(format!("reading the password failed: {error}")))
}

fn usage(message: String) -> CliError {
    CliError::new(Exit::Usage, message)
}
