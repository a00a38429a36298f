//! The audit log: who did what from where, as structured events of the target `audit`, and the newest of them at hand for
//! operators. Never a secret.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use p2pshare_core::{
    api::{AuditEvent, AuditOutcome, AuditPage, AuditQuery, ProblemKind},
    time::Timestamp,
};

use super::{failure::Failure, outer::Origin};

/// Events that are kept at hand. Whoever makes many pushes out those of others: the log has all of them.
const KEPT: usize = 1000;

/// Events in an answer, unless told.
const PAGE: usize = 100;

/// The newest events of this process.
#[derive(Default)]
pub(super) struct AuditLog(Mutex<Newest>);

#[derive(Default)]
struct Newest {
    /// Oldest first. Their numbers have no gaps.
    events: VecDeque<AuditEvent>,
    /// How many there have been.
    count: u64,
}

/// What is noted of one event besides where it came from.
struct Noted<'a> {
    event: &'static str,
    user: &'a str,
    subject: Option<&'a str>,
    outcome: AuditOutcome,
    reason: Option<&'static str>,
    count: Option<u64>,
}

impl AuditLog {
    /// The newest events that `query` asks for. Its limit has been checked.
    pub(super) fn page(&self, process: &str, query: &AuditQuery) -> AuditPage {
        let limit = query.limit.map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let (before, after) = (query.before.unwrap_or(u64::MAX), query.after.unwrap_or(0));
        let newest = self.lock();
        let wanted = |event: &&AuditEvent| event.number < before && event.number > after;
        let events: Vec<_> =
            newest.events.iter().rev().filter(wanted).take(limit).cloned().collect();
        let oldest = newest.events.front().map_or(0, |event| event.number);
        let next = events.last().map(|last| last.number).filter(|last| *last > oldest);
        AuditPage { process: process.to_owned(), events, next }
    }

    fn keep(&self, origin: &Origin, time: Timestamp, noted: &Noted<'_>) {
        let mut newest = self.lock();
        newest.count += 1;
        let number = newest.count;
        if newest.events.len() == KEPT {
            newest.events.pop_front();
        }
        newest.events.push_back(AuditEvent {
            number,
            time,
            event: noted.event.to_owned(),
            user: noted.user.to_owned(),
            subject: noted.subject.map(str::to_owned),
            client: origin.client.to_string(),
            request: origin.request.0.to_string(),
            outcome: noted.outcome,
            reason: noted.reason.map(str::to_owned),
            count: noted.count,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        // Nothing that holds the lock can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes an event to the log and keeps it at hand.
fn write(origin: &Origin, noted: &Noted<'_>) {
    let Noted { event, user, subject, outcome, reason, count } = *noted;
    let client = &origin.client;
    let request = &*origin.request.0;
    match outcome {
        AuditOutcome::Done => {
            tracing::info!(target: "audit", event, user, subject, %client, request, outcome = "done");
        }
        AuditOutcome::Refused => {
            tracing::warn!(
                target: "audit", event, user, subject, %client, request, outcome = "refused", reason
            );
        }
        AuditOutcome::LeftOut => {
            tracing::warn!(target: "audit", event, user, %client, request, outcome = "left-out", count);
        }
    }
    origin.app.audit.keep(origin, origin.app.index.now(), noted);
}

/// Notes the outcome of what `user` did or tried, and passes it on.
pub(super) fn noted<T>(
    origin: &Origin,
    event: &'static str,
    user: &str,
    result: Result<T, impl Into<Failure>>,
) -> Result<T, Failure> {
    noted_about(origin, event, user, None, result)
}

/// The same for what was done to `subject`.
pub(super) fn noted_about<T>(
    origin: &Origin,
    event: &'static str,
    user: &str,
    subject: Option<&str>,
    result: Result<T, impl Into<Failure>>,
) -> Result<T, Failure> {
    let result = result.map_err(Into::into);
    match &result {
        Ok(_) => {
            let outcome = AuditOutcome::Done;
            write(origin, &Noted { event, user, subject, outcome, reason: None, count: None });
        }
        Err(failure) => write_refused(origin, event, user, subject, failure),
    }
    result
}

/// Writes that what `user` asked for was refused.
pub(super) fn refused(origin: &Origin, event: &'static str, user: &str, failure: &Failure) {
    write_refused(origin, event, user, None, failure);
}

fn write_refused(
    origin: &Origin,
    event: &'static str,
    user: &str,
    subject: Option<&str>,
    failure: &Failure,
) {
    let reason = Some(failure.problem().kind().map_or("unknown", ProblemKind::name));
    let outcome = AuditOutcome::Refused;
    write(origin, &Noted { event, user, subject, outcome, reason, count: None });
}

/// Writes that of what `user` asked for, so many were not given.
pub(super) fn left_out(origin: &Origin, event: &'static str, user: &str, count: usize) {
    let (outcome, count) = (AuditOutcome::LeftOut, Some(count as u64));
    write(origin, &Noted { event, user, subject: None, outcome, reason: None, count });
}
