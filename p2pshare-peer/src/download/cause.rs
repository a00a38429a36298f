//! Why something was not fetched, in a word: what can be done depends on it.

use p2pshare_core::{
    swarm::DownloadError,
    transfer::{SinkError, TransferError},
};
use serde::{Deserialize, Serialize};

use super::FetchError;

/// Why something was not fetched, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody sent something else than what was asked for.
    Verification,
    /// Nobody who has it is online.
    NoSource,
    /// It does not exist, or not for this user.
    NotFound,
    /// The session has ended.
    LoggedOut,
    /// The place where it is to go does not take it: something has the name, or it cannot be written there.
    Place,
    /// Whatever has no word of its own.
    #[serde(other)]
    Other,
}

impl Cause {
    /// Of several the gravest decides: wrong bytes before a source that is away.
    pub fn gravity(self) -> u8 {
        match self {
            Self::Verification => 5,
            Self::LoggedOut => 4,
            Self::Place => 3,
            Self::Other => 2,
            Self::NoSource => 1,
            Self::NotFound => 0,
        }
    }

    /// If any source lied it is worth knowing; if all were merely away or have it no more, that is it.
    fn of_sources(causes: &[(String, TransferError)]) -> Self {
        if causes.iter().any(|(_, cause)| cause.is_lie()) {
            return Self::Verification;
        }
        match causes.iter().all(|(_, cause)| is_away(cause)) {
            true => Self::NoSource,
            false => Self::Other,
        }
    }
}

impl From<&FetchError> for Cause {
    fn from(error: &FetchError) -> Self {
        match error {
            FetchError::NotFound(_) => Self::NotFound,
            FetchError::Download(DownloadError::NoSources { .. }) => Self::NoSource,
            FetchError::Download(DownloadError::AllFailed { causes }) => Self::of_sources(causes),
            FetchError::Existing { .. } => Self::Place,
            FetchError::Download(DownloadError::Sink(error)) if is_of_place(error) => Self::Place,
            FetchError::Index(error) if error.is_logged_out() => Self::LoggedOut,
            _ => Self::Other,
        }
    }
}

/// Whether a source is only not there, or has it no more: another may have it, now or later.
pub(crate) fn is_away(cause: &TransferError) -> bool {
    matches!(
        cause,
        TransferError::Unavailable(_)
            | TransferError::Stalled(_)
            | TransferError::NotFound(_)
            | TransferError::NotHeld(_)
    )
}

/// Whether it is up to the place where a file is to go.
fn is_of_place(error: &SinkError) -> bool {
    !matches!(error, SinkError::Mismatch(_) | SinkError::Incomplete { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lie_weighs_more_than_an_absence() {
        let all = |causes: Vec<TransferError>| {
            let causes = causes.into_iter().map(|cause| ("bob".to_owned(), cause)).collect();
            Cause::from(&FetchError::Download(DownloadError::AllFailed { causes }))
        };
        let away = || TransferError::Unavailable("gone".into());
        let lie = || TransferError::Protocol("lie".into());
        assert!(lie().is_lie());
        assert_eq!(all(vec![away(), lie()]), Cause::Verification);
        assert_eq!(all(vec![away(), away()]), Cause::NoSource);
        assert_eq!(all(vec![away(), TransferError::Refused("no".into())]), Cause::Other);
        assert!(Cause::Verification.gravity() > Cause::NoSource.gravity());
    }

    #[test]
    fn what_is_in_the_way_is_up_to_the_place() {
        let cause = |error: SinkError| Cause::from(&FetchError::from(error));
        assert_eq!(cause(SinkError::Exists("x".into())), Cause::Place);
        assert_eq!(cause(SinkError::NoSpace("x".into())), Cause::Place);
        assert_eq!(cause(SinkError::Incomplete { missing: 1 }), Cause::Other);
    }

    #[test]
    fn words_that_are_not_known_are_other_ones() {
        let read = |text: &str| serde_json::from_value::<Cause>(text.into()).unwrap();
        assert_eq!(read("no_source"), Cause::NoSource);
        assert_eq!(read("something_new"), Cause::Other);
        assert_eq!(serde_json::to_value(Cause::NotFound).unwrap(), "not_found");
    }
}
