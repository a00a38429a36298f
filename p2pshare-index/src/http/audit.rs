//! The audit log: who did what from where, as structured events of the target `audit`. Never a secret.

use p2pshare_core::api::ProblemKind;

use super::{failure::Failure, outer::Origin};

/// Writes that `user` did `event`, or tried to.
pub(super) fn note(
    origin: &Origin,
    event: &'static str,
    user: &str,
    outcome: Result<(), &Failure>,
) {
    let client = &origin.client;
    let request = &*origin.request.0;
    match outcome {
        Ok(()) => {
            tracing::info!(target: "audit", event, user, %client, request, outcome = "done");
        }
        Err(failure) => {
            let reason = failure.problem().kind().map_or("unknown", ProblemKind::name);
            tracing::warn!(target: "audit", event, user, %client, request, outcome = "refused", reason);
        }
    }
}

/// Notes the outcome and passes it on.
pub(super) fn noted<T>(
    origin: &Origin,
    event: &'static str,
    user: &str,
    result: Result<T, impl Into<Failure>>,
) -> Result<T, Failure> {
    let result = result.map_err(Into::into);
    note(origin, event, user, result.as_ref().map(|_| ()));
    result
}

/// Writes that of what `user` asked for, so many were not given.
pub(super) fn left_out(origin: &Origin, event: &'static str, user: &str, count: usize) {
    let client = &origin.client;
    let request = &*origin.request.0;
    tracing::warn!(target: "audit", event, user, %client, request, outcome = "left-out", count);
}
