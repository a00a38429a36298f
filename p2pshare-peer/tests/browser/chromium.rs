//! Chromium and its driver, as processes: found, started, ended.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// Set to 1, it makes it an error that there is no browser.
const REQUIRE: &str = "P2PSHARE_REQUIRE_BROWSER";

/// What Debian and others call them.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// It takes a port that is free for one kind of address, and ends if it is not for the other: another test may have it.
const TRIES: u32 = 5;

/// A running ChromeDriver, which starts browsers. It ends, and its browsers with it, when the value is dropped.
pub(crate) struct Driver {
    process: Child,
    pub(crate) url: String,
    /// The browser that it is to start.
    pub(crate) browser: PathBuf,
}

impl Driver {
    /// Starts one on a free port.
    ///
    /// `None` if there is no browser or no driver, which is told on standard error. Panics if there is none and
    /// `P2PSHARE_REQUIRE_BROWSER` is 1.
    pub(crate) fn start() -> Option<Self> {
        let Some(browser) = BROWSERS.iter().find_map(|name| on_path(name)) else {
            complain("there is no Chromium");
            return None;
        };
        let Some(driver) = on_path("chromedriver") else {
            complain("there is no chromedriver");
            return None;
        };
        let mut said = String::new();
        for _ in 0..TRIES {
            match Self::listening(&driver, browser.clone()) {
                Ok(driver) => return Some(driver),
                Err(last_words) => said = last_words,
            }
        }
        panic!("chromedriver ended {TRIES} times before it said where it listens: {said}");
    }

    /// Starts one, unless it ends before it listens: then what it said.
    fn listening(driver: &Path, browser: PathBuf) -> Result<Self, String> {
        let mut process = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Its browsers are in the same group, so that nothing is left of them when a test fails.
            .process_group(0)
            .spawn()
            .expect("chromedriver starts");
        let mut said = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut driver = Self { process, url: String::new(), browser };
        let mut lines = String::new();
        loop {
            let before = lines.len();
            let read = said.read_line(&mut lines).expect("chromedriver talks");
            if read == 0 {
                return Err(lines);
            }
            let port = lines[before..].split_once("started successfully on port ");
            if let Some((_, rest)) = port {
                driver.url = format!("http://127.0.0.1:{}", rest.trim().trim_end_matches('.'));
                // What it says later goes nowhere, but must be read.
                std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
                return Ok(driver);
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended already.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(OsStr::new(name))).find(|file| file.is_file())
}

/// Says past any capture of output that a test did not run.
fn complain(why: &str) {
    let text = format!(
        "\n*** THE PAGE IS NOT TESTED: {why}. On Debian: chromium, chromium-driver ***\n\n"
    );
    assert!(env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{text}");
    let _ = std::io::stderr().write_all(text.as_bytes());
}
