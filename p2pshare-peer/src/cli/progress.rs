//! Progress of long work: a bar, lines where there is no terminal, or events for scripts.

use std::{
    fmt::{self, Display},
    io::{self, IsTerminal},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{
    HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};
use p2pshare_core::text::visible;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::output::Output;
use crate::meter::Meter;

/// From one plain line of progress to the next.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// From one JSON line of progress to the next.
const JSON_EVERY: Duration = Duration::from_millis(500);

/// A bar is drawn anew so often, whether or not something has moved.
const REDRAW: Duration = Duration::from_millis(500);

const BAR: &str = "{msg} {wide_bar:.green} {bytes}/{total_bytes}{pace}";
const SPINNER: &str = "{msg} {spinner}";

/// Progress of one piece of work, in bytes. Whoever works calls [`set`](Self::set) as often as it likes.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    shown: Shown,
    output: Output,
    state: Arc<Mutex<State>>,
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
    done: u64,
    total: Option<u64>,
    meter: Meter,
    /// What somebody else has measured.
    told: Option<Pace>,
    /// What is said of it at the moment, such as that it waits.
    status: String,
    last_shown: Instant,
}

/// How fast something goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Bytes in a second, over the last seconds.
    pub(crate) rate: u64,
    /// Seconds until it is done.
    pub(crate) left: Option<u64>,
    /// Seconds in which nothing has come, if that is worth telling.
    pub(crate) stalled: Option<u64>,
}

impl Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(seconds) = self.stalled {
            let stalled = HumanDuration(Duration::from_secs(seconds));
            return write!(f, "no progress for {stalled}");
        }
        write!(f, "{}/s", HumanBytes(self.rate))?;
        match self.left {
            Some(seconds) => write!(f, ", {} left", HumanDuration(Duration::from_secs(seconds))),
            None => Ok(()),
        }
    }
}

impl State {
    fn pace(&self, now: Instant) -> Pace {
        if let Some(told) = self.told {
            return told;
        }
        let left = self.total.unwrap_or(0).saturating_sub(self.done);
        let stalled = self.meter.stalled(now).filter(|_| left > 0);
        let rate = if stalled.is_some() { 0 } else { self.meter.rate() };
        Pace {
            rate,
            left: left.checked_div(rate).filter(|_| left > 0),
            stalled: stalled.map(|stalled| stalled.as_secs()),
        }
    }

    fn is_due(&mut self, every: Duration, now: Instant) -> bool {
        let due = now.duration_since(self.last_shown) >= every;
        if due {
            self.last_shown = now;
        }
        due
    }
}

impl Output {
    /// Progress of something that has so many bytes; `None`: not known.
    pub(crate) fn progress(&self, what: impl Into<String>, total: Option<u64>) -> Progress {
        let what = what.into();
        let state = Arc::new(Mutex::new(State {
            done: 0,
            total,
            meter: Meter::default(),
            told: None,
            status: String::new(),
            last_shown: Instant::now(),
        }));
        let shown = if self.is_json() {
            Shown::Json
        } else if self.is_quiet() {
            Shown::Nothing
        } else if io::stderr().is_terminal() {
            Shown::Bar(bar(&what, total, &state))
        } else {
            Shown::Plain
        };
        Progress { what, shown, output: *self, state }
    }
}

impl Progress {
    /// So many bytes are done, of so many.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.set_moved(done, total, done);
    }

    /// So many bytes are done, of so many, and so many have moved, which may be more: its speed is theirs.
    pub(crate) fn set_moved(&self, done: u64, total: u64, moved: u64) {
        lock(&self.state).meter.note(moved, Instant::now());
        self.put(done, total, None);
    }

    /// So many bytes are done, of so many, at a speed that somebody else has measured.
    pub(crate) fn tell(&self, done: u64, total: u64, pace: Pace) {
        self.put(done, total, Some(pace));
    }

    fn put(&self, done: u64, total: u64, told: Option<Pace>) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let is_new = state.total != Some(total);
        (state.done, state.total, state.told) = (done, Some(total), told);
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                // Drawing it asks for the state.
                drop(state);
                if is_new {
                    bar.set_length(total);
                    bar.set_style(style(BAR, &self.state));
                }
                bar.set_position(done);
            }
            Shown::Plain | Shown::Json => self.print(&mut state, now),
        }
    }

    /// Does work, and shows meanwhile how it is although nobody says that something has moved.
    pub(crate) async fn while_doing<T>(&self, work: impl Future<Output = T>) -> T {
        let tick = async {
            loop {
                sleep(REDRAW).await;
                let now = Instant::now();
                let mut state = lock(&self.state);
                let (done, total) = (state.done, state.total);
                if total.is_none() {
                    continue;
                }
                state.meter.note(done, now);
                self.print(&mut state, now);
            }
        };
        tokio::select! {
            done = work => done,
            never = tick => never,
        }
    }

    /// Prints how it is, where that is due.
    fn print(&self, state: &mut State, now: Instant) {
        match &self.shown {
            Shown::Plain if state.is_due(PLAIN_EVERY, now) => self.plain(state, now),
            Shown::Json if state.is_due(JSON_EVERY, now) => self.json(state, now),
            // A bar draws itself.
            _ => {}
        }
    }

    /// Says in what state it is, once: beside a bar, or as a line where there is none.
    pub(crate) fn status(&self, text: &str) {
        let mut state = lock(&self.state);
        if state.status == text {
            return;
        }
        text.clone_into(&mut state.status);
        drop(state);
        match &self.shown {
            Shown::Plain if !text.is_empty() => self.output.note(format!("{} {text}", self.what)),
            Shown::Json if !text.is_empty() => {
                self.output.event("state", json!({ "what": self.what, "state": text }));
            }
            _ => self.message(&if text.is_empty() { String::new() } else { format!("({text})") }),
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
        self.aside(|| self.output.line(text));
    }

    /// Prints a line without disturbing the bar.
    pub(crate) fn note(&self, text: impl Display) {
        self.aside(|| self.output.note(text));
    }

    /// Prints a warning without disturbing the bar.
    pub(crate) fn warn(&self, text: impl Display) {
        self.aside(|| self.output.warn(text));
    }

    fn aside(&self, print: impl FnOnce()) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(print),
            _ => print(),
        }
    }

    /// Ends the progress, whatever it has come to.
    pub(crate) fn finish(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    fn plain(&self, state: &State, now: Instant) {
        let (done, total) = (state.done, state.total.unwrap_or(0));
        let percent = if total == 0 { 100 } else { u128::from(done) * 100 / u128::from(total) };
        let (total, pace) = (HumanBytes(total), state.pace(now));
        self.output.note(format!("{} {percent}% of {total}, {pace}", self.what));
    }

    fn json(&self, state: &State, now: Instant) {
        let pace = state.pace(now);
        self.output.event(
            "progress",
            json!({
                "what": self.what,
                "done": state.done,
                "total": state.total,
                "bytes_per_second": pace.rate,
                "eta_seconds": pace.left,
                "stalled_seconds": pace.stalled,
            }),
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic elsewhere leaves counters: as good as before.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bar(what: &str, total: Option<u64>, state: &Arc<Mutex<State>>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total).with_style(style(BAR, state)),
        None => ProgressBar::new_spinner().with_style(style(SPINNER, state)),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(REDRAW);
    bar
}

fn style(template: &str, state: &Arc<Mutex<State>>) -> ProgressStyle {
    let state = state.clone();
    let pace = move |_: &ProgressState, text: &mut dyn fmt::Write| {
        let pace = lock(&state).pace(Instant::now());
        if pace != Pace::default() {
            // A bar without it is as good as there is.
            let _ = write!(text, " {pace}");
        }
    };
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("pace", pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_is_well_formed() {
        for template in [BAR, SPINNER] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[test]
    fn the_pace_is_that_of_the_last_seconds_or_that_nothing_comes() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut state = State {
            done: 0,
            total: Some(10_000),
            meter: Meter::default(),
            told: None,
            status: String::new(),
            last_shown: begun,
        };
        for second in 0..=4 {
            state.done = second * 1000;
            state.meter.note(state.done, at(second));
        }
        assert_eq!(state.pace(at(4)).to_string(), "1000 B/s, 6 seconds left");
        assert_eq!(state.pace(at(64)).to_string(), "no progress for 60 seconds");
        assert_eq!(state.pace(at(64)), Pace { rate: 0, left: None, stalled: Some(60) });
        // What is done does not stall.
        state.done = 10_000;
        assert_eq!(state.pace(at(64)).stalled, None);
    }
}
