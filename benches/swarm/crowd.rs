//! Eight who download from one seed at the same time, each a process, as users start them.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{LINE, Outcome, report, say, seconds};

const DOWNLOADERS: usize = 8;

/// In which environment variable a process finds which program it is.
const PROGRAM: &str = "P2PSHARE_BENCH_PROGRAM";

/// Is the program that this process was started as, and gives its exit code; `None`: it is the bench.
pub(crate) fn program() -> Option<i32> {
    let name = std::env::var(PROGRAM).ok()?;
    let code = match name.as_str() {
        "index" => p2pshare_index::cli::run(),
        _ => p2pshare_peer::cli::main(std::env::args_os()),
    };
    Some(if code == std::process::ExitCode::SUCCESS { 0 } else { 1 })
}

/// How one download went.
struct Run {
    /// Bytes by the user who sent them.
    got: Vec<(String, u64)>,
}

/// Races one and then eight, and prints how they did.
pub(crate) fn race(file: &Path, folder: &Path) -> Outcome<()> {
    let folder = folder.join("crowd");
    let index = Index::start(&folder)?;
    let seed = Peer::register("seed", &index, &folder)?;
    let shared = seed.run(&["share".as_ref(), file.as_os_str()])?;
    let content = text(&shared, "file", "content")?;
    let limit = LINE.to_string();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--upload-limit", &limit];
    let mut serving = seed.start(&serve)?;
    serving.wait_for("ready")?;

    let alone = race_of(1, "alone", &content, &index, &folder)?;
    let crowd = race_of(DOWNLOADERS, "crowd", &content, &index, &folder)?;
    let len = fs::metadata(file)?.len();
    let of_seed = |run: &Run| {
        let seed = run.got.iter().filter(|(user, _)| user == "seed");
        seed.map(|(_, bytes)| bytes).sum::<u64>()
    };
    let sent: u64 = crowd.1.iter().map(of_seed).sum();
    let received: u64 = crowd.1.iter().flat_map(|run| &run.got).map(|(_, bytes)| bytes).sum();
    let crowd_len = (len * DOWNLOADERS as u64) as f64;
    say(&format!("one alone {}, {DOWNLOADERS} at once {}", seconds(alone.0), seconds(crowd.0)))?;
    report("times one alone", crowd.0.as_secs_f64() / alone.0.as_secs_f64(), "less than 2.5")?;
    report("copies that the seed has sent", sent as f64 / len as f64, "less than 2.5")?;
    report("bytes received for each that was needed", received as f64 / crowd_len, "near 1")?;
    Ok(())
}

/// How long it took so many, and how each of them did.
fn race_of(
    count: usize,
    name: &str,
    content: &str,
    index: &Index,
    folder: &Path,
) -> Outcome<(Duration, Vec<Run>)> {
    let peers = (0..count).map(|number| Peer::register(&format!("{name}{number}"), index, folder));
    let peers = peers.collect::<Outcome<Vec<_>>>()?;
    let limit = LINE.to_string();
    let begun = Instant::now();
    let get = ["get", content, "--no-sync", "--upload-limit", &limit];
    let running = peers.iter().map(|peer| peer.start(&get)).collect::<Outcome<Vec<_>>>()?;
    let events = running.into_iter().map(Process::end).collect::<Outcome<Vec<_>>>()?;
    let took = begun.elapsed();
    for peer in &peers {
        fs::remove_dir_all(&peer.folder)?;
    }
    let runs = events.iter().map(|events| run_of(events)).collect::<Outcome<_>>()?;
    Ok((took, runs))
}

fn run_of(events: &[Value]) -> Outcome<Run> {
    let file = events.iter().find(|event| event["event"] == "file").ok_or("nothing was got")?;
    let sources = file["sources"].as_array().ok_or("it does not say from whom")?;
    let got = sources.iter().map(|source| {
        let label = source["source"].as_str().unwrap_or_default();
        let user = label.split(' ').next().unwrap_or_default().to_owned();
        (user, source["bytes"].as_u64().unwrap_or_default())
    });
    Ok(Run { got: got.collect() })
}

/// What an event says.
fn text(events: &[Value], event: &str, key: &str) -> Outcome<String> {
    let found = events.iter().find(|object| object["event"] == event);
    let text = found.and_then(|object| object[key].as_str());
    Ok(text.ok_or_else(|| format!("no {event} with {key}"))?.to_owned())
}

/// A running index.
struct Index {
    url: String,
    _process: Process,
}

impl Index {
    fn start(folder: &Path) -> Outcome<Self> {
        let mut command = this_as("index")?;
        command.stderr(Stdio::null());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.join("index"));
        let mut process = Process::start(command)?;
        let line = process.line()?.ok_or("the index does not start")?;
        let url = line.rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Self { url, _process: process })
    }
}

/// A user with a peer.
struct Peer {
    folder: PathBuf,
    url: String,
}

impl Peer {
    fn register(user: &str, index: &Index, folder: &Path) -> Outcome<Self> {
        let peer = Self { folder: folder.join(user), url: index.url.clone() };
        fs::create_dir_all(&peer.folder)?;
        peer.run(&["register", user])?;
        Ok(peer)
    }

    fn start<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Outcome<Process> {
        let mut command = this_as("peer")?;
        command.env("P2PSHARE_PASSWORD", "correct horse battery staple").current_dir(&self.folder);
        command.args(["--index", &self.url, "--data-dir"]).arg(self.folder.join("data"));
        command.args(arguments).arg("--json");
        Process::start(command)
    }

    /// Runs a command to its end, and gives what it says.
    fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Outcome<Vec<Value>> {
        self.start(arguments)?.end()
    }
}

/// A program that runs; it is killed when dropped.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(mut command: Command) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("its output is not piped")?;
        Ok(Self { child, output: BufReader::new(output) })
    }

    fn line(&mut self) -> Outcome<Option<String>> {
        let mut line = String::new();
        let len = self.output.read_line(&mut line)?;
        Ok((len > 0).then(|| line.trim_end().to_owned()))
    }

    fn wait_for(&mut self, event: &str) -> Outcome<()> {
        while let Some(line) = self.line()? {
            if serde_json::from_str::<Value>(&line)?["event"] == event {
                return Ok(());
            }
        }
        Err(format!("it ended before it was {event}").into())
    }

    /// Waits for its end, and gives what it said.
    fn end(mut self) -> Outcome<Vec<Value>> {
        let mut events = Vec::new();
        while let Some(line) = self.line()? {
            events.push(serde_json::from_str(&line)?);
        }
        match self.child.wait()?.success() {
            true => Ok(events),
            false => Err(format!("a command failed: {events:?}").into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This program again, as another one.
fn this_as(program: &str) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(PROGRAM, program);
    Ok(command)
}
