//! An index inside a web application of one's own: its routes below a path of the application, one store, one process.
//!
//! ```text
//! cargo run --example embed_index            # until Ctrl-C
//! cargo run --example embed_index -- --once  # asks itself and stops
//! ```

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use p2pshare_core::{
    auth::{Argon2Authenticator, Argon2Params},
    backend::sqlite::SqliteStore,
    index::{Index, IndexConfig},
    time::SystemClock,
};
use p2pshare_index::{HttpOptions, keys, router};
use p2pshare_peer::index_client::{IndexClient, IndexUrl};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the community calls its index.
const NAME: &str = "the chess club";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // What must outlive a restart: the store, and the keys, by which peers know the index. An application keeps both in a
    // folder that stays; this one goes with the example.
    let folder = tempfile::tempdir()?;
    let (store, key_file) = (folder.path().join("index.db"), folder.path().join("keys.json"));
    // Any store, any way to check passwords, keys that sign grants, a clock: the rules are the library's.
    let index = Index::new(
        Arc::new(SqliteStore::open(&store)?),
        Arc::new(Argon2Authenticator::new(Argon2Params::default())),
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
    Ok(())
}

/// Waits for Ctrl-C.
async fn interrupted() -> Result<(), Box<dyn Error>> {
    Ok(tokio::signal::ctrl_c().await?)
}
