//! What becomes of a file that could not be fetched.

use std::io::{self, ErrorKind};

use p2pshare_core::{swarm::DownloadError, transfer::SinkError};

use crate::{
    download::{Cause, FetchError, ResolveError, is_away},
    index_client::ClientError,
};

/// Why something waits or has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) text: String,
    pub(super) cause: Cause,
}

impl Reason {
    /// Nobody gives what is wanted.
    pub(super) fn no_source() -> Self {
        let text = "no source is online: waiting for one".to_owned();
        Self { text, cause: Cause::NoSource }
    }

    pub(super) fn other(text: impl Into<String>) -> Self {
        Self { text: text.into(), cause: Cause::Other }
    }

    fn of(error: &FetchError) -> Self {
        Self { text: error.to_string(), cause: error.into() }
    }
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was told to stop.
    Stopped,
    /// It is tried again by itself: what keeps it is expected to pass.
    Waits(Reason),
    /// It has failed.
    Fails(Reason),
    /// It has failed, for nothing can be written where it is to go; a smaller one may fit, or one that goes elsewhere.
    NoPlace(Reason),
    /// The whole download has failed: the others would too.
    AllFail(Reason),
}

pub(super) fn of_fetch(error: &FetchError) -> Verdict {
    let reason = Reason::of(error);
    match error {
        FetchError::Index(error) => of_index(error, reason),
        FetchError::Download(DownloadError::Cancelled) => Verdict::Stopped,
        FetchError::Download(DownloadError::NoSources { discovery: None }) => {
            Verdict::Waits(Reason::no_source())
        }
        FetchError::Download(DownloadError::NoSources { .. }) => Verdict::Waits(reason),
        FetchError::Download(DownloadError::AllFailed { causes })
            if causes.iter().any(|(_, cause)| cause.is_passing() || is_away(cause)) =>
        {
            Verdict::Waits(reason)
        }
        FetchError::Download(DownloadError::Sink(SinkError::Locked(_))) => Verdict::Waits(reason),
        FetchError::Download(DownloadError::Sink(SinkError::NoSpace(_))) => {
            Verdict::NoPlace(reason)
        }
        FetchError::Download(DownloadError::Sink(SinkError::Io { error, .. }))
            if !is_of_its_own(error) =>
        {
            Verdict::NoPlace(reason)
        }
        _ => Verdict::Fails(reason),
    }
}

/// Whether a failure of the file system is about one file, its name, its length or what is in its way: it says nothing of
/// others, and may be there for ever.
fn is_of_its_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
            | ErrorKind::FileTooLarge
            | ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            // Not the system's.
            | ErrorKind::Other
    )
}

pub(super) fn of_resolve(error: &ResolveError) -> Verdict {
    let text = error.to_string();
    match error {
        ResolveError::Index(error) => of_index(error, Reason::other(text)),
        ResolveError::NotFound(_) => Verdict::AllFail(Reason { text, cause: Cause::NotFound }),
        _ => Verdict::AllFail(Reason::other(text)),
    }
}

fn of_index(error: &ClientError, reason: Reason) -> Verdict {
    match error.is_passing() || error.is_logged_out() {
        true => Verdict::Waits(reason),
        false => Verdict::Fails(reason),
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::{
        api::{Problem, ProblemKind},
        content::ContentId,
        transfer::TransferError,
    };

    use super::*;

    #[test]
    fn only_what_the_index_refuses_fails() {
        let says = |kind| ClientError::Problem(Box::new(Problem::new(kind, "so")));
        let of = |error: ClientError| of_fetch(&FetchError::Index(error));
        let page = ClientError::BadAnswer { url: "http://a".into(), reason: "502".into() };
        assert!(matches!(of(page), Verdict::Waits(_)));
        for kind in [ProblemKind::Unavailable, ProblemKind::Internal, ProblemKind::NotLoggedIn] {
            assert!(matches!(of(says(kind)), Verdict::Waits(_)), "{kind:?}");
        }
        for kind in [ProblemKind::Forbidden, ProblemKind::InvalidRequest, ProblemKind::NotFound] {
            assert!(matches!(of(says(kind)), Verdict::Fails(_)), "{kind:?}");
        }
    }

    #[test]
    fn what_may_pass_waits_and_the_rest_fails() {
        let all = |causes: Vec<TransferError>| {
            let causes = causes.into_iter().map(|cause| ("bob".to_owned(), cause)).collect();
            of_fetch(&FetchError::Download(DownloadError::AllFailed { causes }))
        };
        let away = || TransferError::Unavailable("gone".into());
        let lie = || TransferError::Protocol("lie".into());
        assert!(matches!(all(vec![away(), lie()]), Verdict::Waits(_)));
        assert!(matches!(all(vec![lie(), TransferError::Changed]), Verdict::Fails(_)));
        // That it is gone for good is for the index to say.
        assert!(matches!(
            all(vec![TransferError::NotFound(ContentId::of(b""))]),
            Verdict::Waits(_)
        ));
        let no_source = DownloadError::NoSources { discovery: None };
        assert!(matches!(of_fetch(&no_source.into()), Verdict::Waits(_)));
        let gone = FetchError::NotFound(ContentId::of(b""));
        assert!(matches!(of_fetch(&gone), Verdict::Fails(_)));
        let full = SinkError::NoSpace("x".into());
        assert!(matches!(of_fetch(&full.into()), Verdict::NoPlace(_)));
        let io = |kind: ErrorKind| {
            let error = SinkError::Io { what: "opening", path: "x".into(), error: kind.into() };
            of_fetch(&error.into())
        };
        assert!(matches!(io(ErrorKind::ReadOnlyFilesystem), Verdict::NoPlace(_)));
        assert!(matches!(io(ErrorKind::InvalidFilename), Verdict::Fails(_)));
        let too_large = SinkError::NoRoom { path: "x".into(), missing: 2, free: 1 };
        assert!(matches!(of_fetch(&too_large.into()), Verdict::Fails(_)));
        assert_eq!(of_fetch(&DownloadError::Cancelled.into()), Verdict::Stopped);
    }
}
