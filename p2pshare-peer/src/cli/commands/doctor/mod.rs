//! `doctor`: looks at everything that a peer needs, and says what to do where something is wrong.

mod index;
mod machine;
mod reach;

use p2pshare_core::text::visible;
use serde::Serialize;
use serde_json::json;

use crate::cli::{
    context::Context,
    exit::CliError,
    output::{Output, count},
};

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warn,
    /// It does not work.
    Fail,
}

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    message: String,
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, state: State::Ok, message: message.into(), advice: None }
    }

    fn warn(name: &'static str, message: impl Into<String>) -> Self {
        Self { state: State::Warn, ..Self::ok(name, message) }
    }

    fn fail(name: &'static str, message: impl Into<String>) -> Self {
        Self { state: State::Fail, ..Self::ok(name, message) }
    }

    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

pub(crate) async fn doctor(context: &Context) -> Result<(), CliError> {
    let mut seen = Seen { output: context.output, warnings: 0, failures: 0 };
    for check in machine::checks(context).await {
        seen.tell(&check);
    }
    let (session, checks) = index::checks(context).await;
    for check in checks {
        seen.tell(&check);
    }
    for check in reach::checks(context, session).await {
        seen.tell(&check);
    }
    seen.conclude()
}

struct Seen {
    output: Output,
    warnings: u64,
    failures: u64,
}

impl Seen {
    fn tell(&mut self, check: &Check) {
        let state = match check.state {
            State::Ok => "ok",
            State::Warn => {
                self.warnings += 1;
                "warn"
            }
            State::Fail => {
                self.failures += 1;
                "FAIL"
            }
        };
        self.output.event("check", check);
        self.output.line(format!("{state:<5} {:<18} {}", check.name, visible(&check.message)));
        if let Some(advice) = &check.advice {
            self.output.line(format!("{:<24} → {}", "", visible(advice)));
        }
    }

    fn conclude(self) -> Result<(), CliError> {
        let Self { output, warnings, failures } = self;
        output.event("doctor", json!({ "warnings": warnings, "failures": failures }));
        if failures > 0 {
            return Err(CliError::failed(format!("{} failed", count(failures, "check"))));
        }
        output.line(match warnings {
            0 => "Everything is in order.".to_owned(),
            some => format!("It works; {} above.", count(some, "warning")),
        });
        Ok(())
    }
}
