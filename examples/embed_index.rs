//! An index inside a web application of one's own: its routes below a path of the application, its users those of the
//! application, one store, one process.
//!
//! ```text
//! cargo run --example embed_index            # until Ctrl-C
//! cargo run --example embed_index -- --once  # asks itself and stops
//! ```

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{collections::BTreeMap, error::Error, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{Router, http::StatusCode, routing::get};
use p2pshare_core::{
    api::Login,
    auth::{Argon2Authenticator, AuthError, Authenticator, Password, Verdict, Verifier},
    backend::sqlite::SqliteStore,
    identity::Username,
    index::{Index, IndexConfig},
    time::SystemClock,
};
use p2pshare_index::{HttpOptions, keys, router};
use p2pshare_peer::index_client::{IndexClient, IndexUrl};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the community calls its index.
const NAME: &str = "the chess club";

/// Somebody whom the application knows.
const MEMBER: &str = "vera";
const PASSWORD: &str = "queen takes pawn";

/// The members of the club, who have a password for its pages already: nobody registers at the index.
struct Members {
    /// As the application keeps it; here one password hash for each.
    passwords: BTreeMap<Username, Verifier>,
    argon2: Argon2Authenticator,
}

#[async_trait]
impl Authenticator for Members {
    fn is_directory(&self) -> bool {
        true
    }

    async fn enroll(&self, _: &Username, _: Password) -> Result<Verifier, AuthError> {
        // Passwords are changed on the club's pages.
        Err(AuthError::NotManaged)
    }

    async fn verify(
        &self,
        user: &Username,
        password: Password,
        _: Option<&Verifier>,
    ) -> Result<Verdict, AuthError> {
        // For who is no member this does the same work.
        self.argon2.verify(user, password, self.passwords.get(user)).await
    }
}

impl Members {
    async fn of_the_club() -> Result<Self, Box<dyn Error>> {
        let argon2 = Argon2Authenticator::default();
        let vera: Username = MEMBER.parse()?;
        let password = argon2.enroll(&vera, Password::new(PASSWORD.to_owned())?).await?;
        Ok(Self { passwords: [(vera, password)].into(), argon2 })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // What must outlive a restart: the store, and the keys, by which peers know the index. An application keeps both in a
    // folder that stays; this one goes with the example.
    let folder = tempfile::tempdir()?;
    let (store, key_file) = (folder.path().join("index.db"), folder.path().join("keys.json"));
    // Any store, any way to check passwords, keys that sign grants, a clock: the rules are the library's.
    let index = Index::new(
        Arc::new(SqliteStore::open(&store)?),
        Arc::new(Members::of_the_club().await?),
        keys::load_or_make(&key_file)?,
        Arc::new(SystemClock),
        IndexConfig { name: NAME.to_owned(), ..IndexConfig::default() },
    );
    let stop = CancellationToken::new();
    let maintenance = tokio::spawn({
        let (index, stop) = (index.clone(), stop.clone());
        async move { index.maintain(stop).await }
    });
    // `p2pshare-index keys rotate --key-file` changes the keys of an index that runs.
    tokio::spawn({
        let (watched, stop) = (keys::watch(index.clone(), key_file), stop.clone());
        async move { stop.run_until_cancelled(watched).await }
    });

    // Nested and not merged: the index has a fallback and paths of its own, and so has the application.
    let application = Router::new()
        .route("/", get(async || "The chess club. Its file index is at /files.\n"))
        .nest("/files", router(index, HttpOptions::default()))
        .fallback(async || (StatusCode::NOT_FOUND, "The chess club has no such page.\n"));
    // The index limits what each address may do. Without connect info all clients would share one limit.
    let service = application.into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let url = format!("http://{address}/files");
    println!("The application is at http://{address}, its index at {url}");

    let closing = CancellationToken::new();
    let server = axum::serve(listener, service)
        .with_graceful_shutdown(closing.clone().cancelled_owned())
        .into_future();
    let once = std::env::args().any(|argument| argument == "--once");
    let work = async {
        let done = match once {
            true => ask(&url).await,
            false => interrupted().await,
        };
        closing.cancel();
        done
    };
    let (served, done) = tokio::join!(server, work);
    stop.cancel();
    maintenance.await?;
    served?;
    done
}

/// Asks the index what it says of itself, as a peer does that was given this URL.
async fn ask(url: &str) -> Result<(), Box<dyn Error>> {
    let client = IndexClient::new(&[url.parse::<IndexUrl>()?], Duration::from_secs(10))?;
    let info = client.info().await?;
    if info.name != NAME {
        return Err(format!("{url} is the index of {:?}, not of {NAME:?}", info.name).into());
    }
    println!("It answers as the index of {}, version {}", info.name, info.version);
    let log_in = |password: &str| {
        let password = Password::new(password.to_owned());
        let client = &client;
        async move {
            let (username, password) = (MEMBER.parse()?, password?);
            let opened = client.log_in(&Login { username, password }).await?;
            Ok::<_, Box<dyn Error>>(opened.account)
        }
    };
    match log_in("knight takes pawn").await {
        Ok(_) => return Err("a wrong password was taken".into()),
        Err(refused) => println!("A wrong password: {refused}"),
    }
    let account = log_in(PASSWORD).await?;
    println!("With the club's password {} is logged in, and has an account now", account.username);
    Ok(())
}

/// Waits for Ctrl-C.
async fn interrupted() -> Result<(), Box<dyn Error>> {
    Ok(tokio::signal::ctrl_c().await?)
}
