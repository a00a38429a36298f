//! A community while its servers are killed: two indexes over a MongoDB replica set of three, and clients that work all
//! the time. Fails if anything that was acknowledged is lost, or a client has an error that it does not get over.
//!
//! ```text
//! cargo bench -p p2pshare-benches --bench failover
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that prints")]

mod crowd;
mod process;

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use crowd::Crowd;
use p2pshare_benches::is_smoke_run;
use p2pshare_core::testing::mongod::ReplicaSet;
use p2pshare_peer::index_client::IndexUrl;
use process::Index;

/// Says which program this is to be: it starts itself as each.
const AS: &str = "P2PSHARE_BENCH_AS";

const PASSWORD: &str = "correct horse battery staple";

fn main() -> ExitCode {
    match env::var(AS).as_deref() {
        Ok("index") => p2pshare_index::cli::run(),
        Ok(_) => p2pshare_peer::cli::main(env::args_os()),
        Err(_) => {
            let runtime = tokio::runtime::Runtime::new().expect("the system has threads to give");
            runtime.block_on(run());
            ExitCode::SUCCESS
        }
    }
}

async fn run() {
    // MongoDB's own election timeout, and so its own stalls, but not where only the program is tried.
    let (election, calm) = if is_smoke_run() { (1000, 1) } else { (10_000, 8) };
    let Some(mut mongod) = ReplicaSet::start(3, election) else { return };
    let calm = async || tokio::time::sleep(Duration::from_secs(calm)).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let place = folder.path();
    let store = mongod.database("failover");
    let mut indexes = [Index::start(place, "one", &store), Index::start(place, "two", &store)];
    let urls: Vec<IndexUrl> = indexes.iter().map(|index| index.url.clone()).collect();
    let crowd = Crowd::start(place, &urls).await;
    println!("two indexes over three mongods (election timeout {election} ms), clients at both");

    calm().await;
    let begun = Instant::now();
    let primary = mongod.wait_for_primary();
    mongod.kill(primary);
    mongod.wait_for_primary();
    println!("the primary was killed; another one after {:.1?}", begun.elapsed());
    calm().await;
    mongod.restart(primary);
    println!("it was started again");
    calm().await;
    indexes[0].kill();
    println!("one index was killed");
    calm().await;
    let primary = mongod.wait_for_primary();
    mongod.kill(primary);
    mongod.wait_for_primary();
    println!("the primary was killed while one index is away");
    calm().await;
    mongod.restart(primary);
    indexes[0].restart();
    println!("all were started again");
    calm().await;

    crowd.finish(&urls).await;
}
