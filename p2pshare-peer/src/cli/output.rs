//! What a command prints: for people, or one JSON object a line for scripts.
//!
//! Results go to standard output, everything else to standard error. What others chose (names, paths, sentences of an
//! index) is printed so that it cannot play tricks on a terminal.

use std::{
    fmt::Display,
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use indicatif::HumanBytes;
use p2pshare_core::text::visible;
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::CliError;

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

    /// Whether it leaves out progress and notes.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
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
    let mut line = String::new();
    for part in text.lines().map(str::trim) {
        line.push_str(match line.chars().last() {
            None => "",
            Some(':') => " ",
            Some(_) => "; ",
        });
        line.push_str(part);
    }
    visible(&line).to_string()
}

/// A word with its number, for people: "1 file", "2 files".
pub(crate) fn count(number: u64, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// Why a part of the result could not be printed.
static LOST: OnceLock<String> = OnceLock::new();

/// Whether some part of it could not be printed, for whatever reason.
static CLOSED: AtomicBool = AtomicBool::new(false);

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
    CLOSED.store(true, Relaxed);
}

/// Whether what is printed reaches nobody any more.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Relaxed)
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
}
