//! The running peer with real programs: how soon what changes in a shared folder is published, and what others who fetch
//! meanwhile notice of it; and how much slower it is to read a content in order while it comes than to download it.
//!
//! ```text
//! cargo bench -p p2pshare-benches --bench live             # all of it
//! cargo bench -p p2pshare-benches --bench live -- reading  # or folders
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that prints")]

mod program;
mod reading;

use std::{
    env, fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use p2pshare_benches::is_smoke_run;
use program::{AS, Peer, Program};

fn main() -> ExitCode {
    match env::var(AS).as_deref() {
        Ok("index") => p2pshare_index::cli::run(),
        Ok(_) => p2pshare_peer::cli::main(env::args_os()),
        Err(_) => {
            let only = |what: &str| env::args().any(|argument| argument == what);
            if !only("reading") {
                folders();
            }
            if !only("folders") {
                reading::run();
            }
            ExitCode::SUCCESS
        }
    }
}

fn folders() {
    let (files, renamed) = if is_smoke_run() { (200, 50) } else { (10_000, 1000) };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (_index, url) = Program::index(folder.path());
    let [alice, bob] = ["alice", "bob"].map(|user| Peer::register(folder.path(), &url, user));
    let live = alice.folder.join("Live");
    fs::create_dir(&live).expect("a folder to share");
    fs::write(alice.folder.join("served"), vec![7; 3 << 20]).expect("a file to serve");
    alice.run(&["share", "Live"]);
    alice.run(&["share", "served"]);
    let serving = alice.start(&["serve", "--listen", "127.0.0.1:0"]);
    serving.line("\"ready\"");

    let begin = Instant::now();
    fs::write(live.join("one"), "one").expect("a file to share");
    serving.published(2);
    println!("one new file: published after {:.1?}", begin.elapsed());
    let idle = fetches(&bob, |number| number == 5);
    println!("a file of 3 MiB is fetched in {idle:.1?} at most, the start of the program included");

    for number in 0..20 {
        fs::create_dir(live.join(number.to_string())).expect("a folder for files");
    }
    let place = |number: u64| live.join(format!("{}/{number}", number % 20));
    let begin = Instant::now();
    for number in 0..files {
        fs::write(place(number), format!("the file {number}")).expect("a file to share");
    }
    let written = begin.elapsed();
    let slowest = fetches(&bob, |_| serving.has_published(files + 2));
    println!(
        "{files} new files, written within {written:.1?}: published after {:.1?}; fetched meanwhile in {slowest:.1?} at most",
        begin.elapsed()
    );

    let begin = Instant::now();
    for number in 0..renamed {
        fs::rename(place(number), live.join(format!("renamed {number}"))).expect("it is there");
    }
    let mut followed = 0;
    while followed < renamed {
        let event = serving.event("followed");
        assert_eq!(event["hashed"], 0, "what is renamed is not hashed: {event}");
        followed += event["moved"].as_u64().expect("a number");
    }
    serving.published(files + 2);
    println!("{renamed} renamed files: published after {:.1?}, none hashed", begin.elapsed());
}

/// Fetches a file again and again until it is enough; gives the longest time that one took.
fn fetches(bob: &Peer, is_enough: impl Fn(u32) -> bool) -> Duration {
    let mut slowest = Duration::ZERO;
    for number in 0.. {
        let begin = Instant::now();
        bob.run(&["get", "alice:/served"]);
        slowest = slowest.max(begin.elapsed());
        fs::remove_file(bob.folder.join("served")).expect("it was fetched");
        if is_enough(number) {
            break;
        }
    }
    slowest
}
