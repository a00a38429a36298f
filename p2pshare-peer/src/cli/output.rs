//! What a command prints: for people, or one JSON object a line for scripts.
//!
//! Results go to standard output, everything else to standard error. What others chose (names, paths, sentences of an
//! index) is printed so that it cannot play tricks on a terminal.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use p2pshare_core::text::visible;
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::CliError;

/// From one plain line of progress to the next.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// From one JSON line of progress to the next.
const JSON_EVERY: Duration = Duration::from_millis(500);

const BAR: &str = "{msg} {wide_bar:.green} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
const SPINNER: &str = "{msg} {spinner} {bytes}";

/// Where a command prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Prints JSON or for people; `quiet` leaves out progress and notes.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether it prints JSON, for a script.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A line of the result, for people.
    pub(crate) fn line(&self, text: impl Display) {
        if !self.json {
            result(&text.to_string());
        }
    }

    /// A part of the result, for scripts: the fields of `value` and `event`, which says what they are.
    pub(crate) fn event(&self, event: &str, value: impl Serialize) {
        if !self.json {
            return;
        }
        let mut object = match serde_json::to_value(value) {
            Ok(Value::Object(object)) => object,
            Ok(other) => serde_json::Map::from_iter([("value".to_owned(), other)]),
            Err(error) => {
                serde_json::Map::from_iter([("error".to_owned(), error.to_string().into())])
            }
        };
        object.insert("event".to_owned(), event.into());
        result(&Value::Object(object).to_string());
    }

    /// Something worth knowing beside the result.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.json && !self.quiet {
            aside(&text.to_string());
        }
    }

    /// Something that went wrong without ending the command.
    pub(crate) fn warn(&self, text: impl Display) {
        if self.json {
            self.event("warning", json!({ "message": text.to_string() }));
        } else {
            aside(&format!("warning: {text}"));
        }
    }

    /// Why the command failed.
    pub(crate) fn error(&self, error: &CliError) {
        if self.json {
            let (message, hint, exit) = (&error.message, &error.hint, error.exit as u8);
            return self.event("error", json!({ "message": message, "hint": hint, "exit": exit }));
        }
        aside(&format!("error: {}", visible_lines(&error.message)));
        if let Some(hint) = &error.hint {
            aside(&format!("hint: {}", visible(hint)));
        }
    }

    /// Progress of something that has so many bytes; `None`: not known.
    pub(crate) fn progress(&self, what: impl Into<String>, total: Option<u64>) -> Progress {
        let what = what.into();
        let shown = if self.json {
            Shown::Json
        } else if self.quiet {
            Shown::Nothing
        } else if io::stderr().is_terminal() {
            Shown::Bar(bar(&what, total))
        } else {
            Shown::Plain
        };
        Progress { what, shown, output: *self, state: Mutex::new(State::new(total)) }
    }
}

/// Progress of one piece of work, in bytes. Whoever works calls [`set`](Self::set) as often as it likes.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    shown: Shown,
    output: Output,
    state: Mutex<State>,
}

#[derive(Debug)]
enum Shown {
    Nothing,
    Bar(ProgressBar),
    Plain,
    Json,
}

#[derive(Debug)]
struct State {
    begun: Instant,
    /// Bytes that were there at the beginning: they say nothing of the speed.
    first: Option<u64>,
    done: u64,
    total: Option<u64>,
    last_shown: Instant,
}

impl State {
    fn new(total: Option<u64>) -> Self {
        let now = Instant::now();
        Self { begun: now, first: None, done: 0, total, last_shown: now }
    }

    fn rate(&self) -> u64 {
        let moved = self.done.saturating_sub(self.first.unwrap_or(0));
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        (moved as f64 / seconds) as u64
    }
}

impl Progress {
    /// So many bytes are done, of so many.
    pub(crate) fn set(&self, done: u64, total: u64) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.first.get_or_insert(done);
        state.done = done;
        state.total = Some(total);
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                if bar.length() != Some(total) {
                    bar.set_length(total);
                    bar.set_style(style(BAR));
                }
                bar.set_position(done);
            }
            Shown::Plain if state.last_shown.elapsed() >= PLAIN_EVERY => {
                state.last_shown = Instant::now();
                self.plain(&state);
            }
            Shown::Json if state.last_shown.elapsed() >= JSON_EVERY => {
                state.last_shown = Instant::now();
                self.json(&state);
            }
            Shown::Plain | Shown::Json => {}
        }
    }

    /// Says beside the progress what is going on at the moment.
    pub(crate) fn message(&self, text: &str) {
        if let Shown::Bar(bar) = &self.shown {
            bar.set_message(format!("{} {}", self.what, visible(text)));
        }
    }

    /// Prints a line of the result without disturbing the bar.
    pub(crate) fn line(&self, text: impl Display) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| self.output.line(text)),
            _ => self.output.line(text),
        }
    }

    /// Prints a line without disturbing the bar.
    pub(crate) fn note(&self, text: impl Display) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| self.output.note(text)),
            _ => self.output.note(text),
        }
    }

    /// Prints a warning without disturbing the bar.
    pub(crate) fn warn(&self, text: impl Display) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| self.output.warn(text)),
            _ => self.output.warn(text),
        }
    }

    /// Ends the progress, whatever it has come to.
    pub(crate) fn finish(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    fn plain(&self, state: &State) {
        let total = state.total.unwrap_or(0);
        let percent =
            if total == 0 { 100 } else { u128::from(state.done) * 100 / u128::from(total) };
        let left = match (total.saturating_sub(state.done), state.rate()) {
            (0, _) | (_, 0) => String::new(),
            (left, rate) => format!(", {} left", HumanDuration(Duration::from_secs(left / rate))),
        };
        self.output.note(format!(
            "{} {percent}% of {}, {}/s{left}",
            self.what,
            HumanBytes(total),
            HumanBytes(state.rate())
        ));
    }

    fn json(&self, state: &State) {
        self.output.event(
            "progress",
            json!({
                "what": self.what,
                "done": state.done,
                "total": state.total,
                "bytes_per_second": state.rate(),
            }),
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Writes bytes of a content to standard output, in full.
pub(crate) async fn write(bytes: bytes::Bytes) -> io::Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        let mut output = io::stdout().lock();
        output.write_all(&bytes)?;
        output.flush()
    });
    written.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A text of several lines, each made visible by itself.
fn visible_lines(text: &str) -> String {
    text.lines().map(|line| visible(line).to_string()).collect::<Vec<_>>().join("\n")
}

/// A number of bytes, for people.
pub(crate) fn bytes(count: u64) -> impl Display {
    HumanBytes(count)
}

/// A text of several lines in one, made visible.
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    visible(&lines.join(" ")).to_string()
}

/// A word with its number, for people: "1 file", "2 files".
pub(crate) fn count(number: u64, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

fn bar(what: &str, total: Option<u64>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total).with_style(style(BAR)),
        None => ProgressBar::new_spinner().with_style(style(SPINNER)),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    bar.set_message(what.to_owned());
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Why a part of the result could not be printed.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints a line of the result.
fn result(line: &str) {
    if let Err(error) = writeln!(io::stdout(), "{line}") {
        lose(&error);
    }
}

/// Prints a line beside the result. Where that cannot be, there is nobody left to tell.
fn aside(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Standard output does not take what is printed. Whoever reads may go away (`| head`): that is no failure.
pub(crate) fn lose(error: &io::Error) {
    if error.kind() != io::ErrorKind::BrokenPipe {
        LOST.get_or_init(|| error.to_string());
    }
}

/// Whether all of a command's result could be printed. If not, says so where that may still be seen.
pub(crate) fn printed() -> Result<(), Lost> {
    match LOST.get() {
        None => Ok(()),
        Some(why) => {
            aside(&format!("error: standard output could not be written: {why}"));
            aside("hint: what is printed is not complete; make room, or print it elsewhere");
            Err(Lost)
        }
    }
}

/// A part of the result could not be printed.
#[derive(Debug)]
pub(crate) struct Lost;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_in_words() {
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(0, "file"), "0 files");
    }

    #[test]
    fn lines_stay_lines_and_tricks_do_not() {
        assert_eq!(visible_lines("one\n  two\u{1b}[2J"), "one\n  two\\u{1b}[2J");
    }

    #[test]
    fn every_style_is_well_formed() {
        for template in [BAR, SPINNER] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
