//! A running program: what it prints, how it ends. It is killed when dropped.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longest that anything may take before the test is taken for hung. The machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until the condition gives something.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(it) = condition() {
            return it;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Lines that a program prints, as they come.
type Lines = Arc<Mutex<Vec<String>>>;

/// A program that runs.
pub(crate) struct Process {
    what: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let what = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = vec![
            read(child.stdout.take().expect("it is piped"), stdout.clone()),
            read(child.stderr.take().expect("it is piped"), stderr.clone()),
        ];
        Self { what, child, stdout, stderr, readers }
    }

    /// Lines on standard output so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        lines(&self.stdout).clone()
    }

    /// JSON objects on standard output so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stdout().iter().map(|line| parse(line)).collect()
    }

    /// Lines on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        lines(&self.stderr).join("\n")
    }

    /// Waits until something is true of what it has printed, while it runs.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        mut condition: impl FnMut(&[String]) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.try_wait().expect("its own child can be asked");
            if ended.is_some() {
                self.join_readers();
            }
            if let Some(it) = condition(&lines(&self.stdout)) {
                return it;
            }
            let why = match ended {
                Some(status) => format!("it has ended with {status}"),
                None if Instant::now() > deadline => format!("waited {PATIENCE:?} in vain"),
                None => {
                    thread::sleep(LOOK_EVERY);
                    continue;
                }
            };
            panic!("{what}: {why}\n{}", self.story());
        }
    }

    /// Waits for the first JSON object that is about this.
    pub(crate) fn wait_for_event(&mut self, event: &str) -> Value {
        self.wait_for(event, |lines| {
            lines.iter().map(|line| parse(line)).find(|object| object["event"] == event)
        })
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its own child can be asked").is_none()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("its own child can be asked") {
                return self.ended(status);
            }
            assert!(
                Instant::now() < deadline,
                "it does not end within {PATIENCE:?}\n{}",
                self.story()
            );
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process ids are small");
        let pid = Pid::from_raw(pid).expect("a process has an id");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("{signal:?}: {error}"));
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(self, signal: Signal) -> Ended {
        self.signal(signal);
        self.wait()
    }

    /// Kills it without a word, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().expect("its own child can be killed");
        let status = self.child.wait().expect("its own child can be waited for");
        self.ended(status)
    }

    fn ended(&mut self, status: ExitStatus) -> Ended {
        self.join_readers();
        Ended {
            what: self.what.clone(),
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("reading lines does not panic");
        }
    }

    fn story(&self) -> String {
        let stdout = self.stdout().join("\n");
        format!("{}\n--- stdout\n{stdout}\n--- stderr\n{}", self.what, self.stderr())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) what: String,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{}", self.story());
        self
    }

    /// The JSON objects on standard output; anything else there fails the test.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stdout.iter().map(|line| parse(line)).collect()
    }

    /// The JSON objects that are about this.
    pub(crate) fn all(&self, event: &str) -> Vec<Value> {
        self.events().into_iter().filter(|object| object["event"] == event).collect()
    }

    /// The one JSON object that is about this.
    #[track_caller]
    pub(crate) fn one(&self, event: &str) -> Value {
        let mut all = self.all(event);
        assert!(all.len() == 1, "expected one {event:?}\n{}", self.story());
        all.remove(0)
    }

    /// Why it failed: the message and the hint of its error.
    #[track_caller]
    pub(crate) fn error(&self) -> (String, String) {
        let error = self.one("error");
        let exit = error["exit"].as_i64().and_then(|exit| i32::try_from(exit).ok());
        assert!(exit == self.code, "the error tells another exit code\n{}", self.story());
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        (text("message"), text("hint"))
    }

    pub(crate) fn story(&self) -> String {
        let Self { what, code, signal, stdout, stderr } = self;
        let stdout = stdout.join("\n");
        format!(
            "{what}\ncode {code:?}, signal {signal:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

#[track_caller]
fn parse(line: &str) -> Value {
    let value: Value = serde_json::from_str(line)
        .unwrap_or_else(|error| panic!("a line that is no JSON: {line:?}: {error}"));
    assert!(value["event"].is_string(), "an object that does not say what it is: {line}");
    value
}

fn read(from: impl Read + Send + 'static, to: Lines) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { break };
            lines(&to).push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

fn lines(lines: &Lines) -> std::sync::MutexGuard<'_, Vec<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
