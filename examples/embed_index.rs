//! An index inside a web application of one's own: its routes beside the application's, one store, one process.
//!
//! ```text
//! cargo run --example embed_index            # until Ctrl-C
//! cargo run --example embed_index -- --once  # asks itself and stops
//! ```

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{error::Error, sync::Arc};

use axum::{Router, routing::get};
use p2pshare_core::{
    auth::{Argon2Authenticator, Argon2Params, GrantSigner, SigningKeys},
    backend::memory::MemoryStore,
    index::{Index, IndexConfig},
    time::SystemClock,
};
use p2pshare_index::{HttpOptions, router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Any store, any way to check passwords, a key that signs grants, a clock: the rules are the library's.
    let index = Index::new(
        Arc::new(MemoryStore::new()),
        Arc::new(Argon2Authenticator::new(Argon2Params::default())),
        SigningKeys::new(GrantSigner::generate()?),
        Arc::new(SystemClock),
        IndexConfig { name: "the chess club".to_owned(), ..IndexConfig::default() },
    );
    let stop = CancellationToken::new();
    let maintenance = tokio::spawn({
        let (index, stop) = (index.clone(), stop.clone());
        async move { index.maintain(stop).await }
    });

    let application = Router::new()
        .route("/", get(async || "The chess club. Its file index is at /v1.\n"))
        .merge(router(index, HttpOptions::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("The application, its index inside, is at http://{}", listener.local_addr()?);

    let once = std::env::args().any(|argument| argument == "--once");
    let shutdown = async move {
        if !once {
            // Without a signal handler there is no way to be stopped kindly: go on until killed.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    axum::serve(listener, application).with_graceful_shutdown(shutdown).await?;
    stop.cancel();
    maintenance.await?;
    Ok(())
}
