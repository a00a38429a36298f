//! This program, started once more, which answers a line with a line.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A process that is asked things. Dropping it lets it end, and waits for that.
pub struct Remote {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Remote {
    /// Starts this program again with these environment variables.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(variables: &[(&str, &OsStr)]) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(ended)?;
        Ok(Self { child, questions, answers: BufReader::new(stdout) })
    }

    /// Asks something.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn ask(&mut self, question: &str) -> io::Result<String> {
        let questions = self.questions.as_mut().ok_or_else(ended)?;
        writeln!(questions, "{question}")?;
        let mut answer = String::new();
        match self.answers.read_line(&mut answer)? {
            0 => Err(ended()),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // It ends when it can be asked no more.
        self.questions = None;
        let _ = self.child.wait();
    }
}

fn ended() -> io::Error {
    io::Error::other("a process of the race has ended; its error output says why")
}
