//! The one place where errors of a transfer become gRPC statuses and come back from them.
//!
//! A gRPC status alone is too coarse: a receiver must know whether the other end lied or is merely busy. So the exact
//! error goes beside it in the metadata, as words: its kind and its numbers, `not-held 17`. Sentences travel in the
//! status' message. Whatever comes from the other end is its own claim: it is bounded and made safe to show.

mod words;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use p2pshare_core::content::{ContentId, PieceIndex};
use p2pshare_core::text::visible;
use p2pshare_core::transfer::{AccessDenied, TransferError};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// The key of the metadata that says what exactly happened.
const KEY: &str = "p2pshare-error";
/// Longest sentence that is taken from the other end, in bytes.
const MAX_MESSAGE: usize = 512;

/// The status that tells the other end of an error.
pub(crate) fn transfer_status(error: &TransferError) -> Status {
    let (code, kind) = match error {
        TransferError::NotFound(_) => (Code::NotFound, "not-found".to_owned()),
        TransferError::NotHeld(piece) => (Code::FailedPrecondition, format!("not-held {piece}")),
        TransferError::Changed => (Code::Aborted, "changed".to_owned()),
        TransferError::Refused(_) => (Code::PermissionDenied, "refused".to_owned()),
        TransferError::Unavailable(_) => (Code::Unavailable, "unavailable".to_owned()),
        TransferError::Stalled(time) => {
            (Code::DeadlineExceeded, format!("stalled {}", time.as_millis()))
        }
        TransferError::Unsupported => (Code::Unimplemented, "unsupported".to_owned()),
        TransferError::Mismatch(mismatch) => {
            (Code::DataLoss, words::join("mismatch", &words::mismatch_out(mismatch)))
        }
        TransferError::Manifest(manifest) => {
            (Code::DataLoss, words::join("manifest", &words::manifest_out(manifest)))
        }
        TransferError::Protocol(_) => (Code::InvalidArgument, "protocol".to_owned()),
        TransferError::Io(_) => (Code::Internal, "io".to_owned()),
        // The type may grow; an error that is not known here is told in words only.
        _ => (Code::Unknown, String::new()),
    };
    let message = match error {
        TransferError::Refused(message)
        | TransferError::Unavailable(message)
        | TransferError::Protocol(message) => message.clone(),
        TransferError::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    status(code, &message, &kind)
}

/// The status that tells the other end that it is not let in.
pub(crate) fn denied_status(denied: &AccessDenied) -> Status {
    match denied {
        AccessDenied::Unauthenticated(message) => {
            status(Code::Unauthenticated, message, "unauthenticated")
        }
        denied => status(Code::PermissionDenied, &denied.to_string(), "forbidden"),
    }
}

fn status(code: Code, message: &str, kind: &str) -> Status {
    let mut status = Status::new(code, shortened(message));
    if let Ok(value) = MetadataValue::try_from(kind)
        && !kind.is_empty()
    {
        status.metadata_mut().insert(KEY, value);
    }
    status
}

/// What a status says that came from the other end in a call about `content`.
pub(crate) fn transfer_error(status: &Status, content: &ContentId) -> TransferError {
    let kind = status.metadata().get(KEY).and_then(|value| value.to_str().ok());
    kind.and_then(|kind| from_kind(kind, status, content))
        .unwrap_or_else(|| from_code(status, content))
}

/// The status of a call that not every peer knows: whoever does not says so.
pub(crate) fn maybe_unknown(status: Status) -> Status {
    match status.code() {
        Code::Unimplemented => transfer_status(&TransferError::Unsupported),
        _ => status,
    }
}

/// Whether the other end wants another credential.
pub(crate) fn wants_credential(status: &Status) -> bool {
    status.code() == Code::Unauthenticated
}

fn from_kind(kind: &str, status: &Status, content: &ContentId) -> Option<TransferError> {
    let (kind, rest) = kind.split_once(' ').unwrap_or((kind, ""));
    let error = match kind {
        "not-found" => TransferError::NotFound(*content),
        "not-held" => TransferError::NotHeld(PieceIndex(rest.parse().ok()?)),
        "changed" => TransferError::Changed,
        "refused" | "unauthenticated" | "forbidden" => TransferError::Refused(sentence(status)),
        "unavailable" => TransferError::Unavailable(sentence(status)),
        "stalled" => TransferError::Stalled(Duration::from_millis(rest.parse().ok()?)),
        "unsupported" => TransferError::Unsupported,
        "mismatch" => TransferError::Mismatch(words::mismatch_in(rest)?),
        "manifest" => TransferError::Manifest(words::manifest_in(rest, content)?),
        "protocol" => TransferError::Protocol(sentence(status)),
        "io" => TransferError::Io(Arc::new(io::Error::other(sentence(status)))),
        _ => return None,
    };
    Some(error)
}

/// A status without the key: made by a gRPC library, a proxy, or a peer that is not of this project.
fn from_code(status: &Status, content: &ContentId) -> TransferError {
    match status.code() {
        Code::NotFound => TransferError::NotFound(*content),
        Code::PermissionDenied | Code::Unauthenticated => TransferError::Refused(sentence(status)),
        // `OutOfRange` is what the library says to a message that is too long.
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => {
            TransferError::Protocol(sentence(status))
        }
        Code::Aborted => TransferError::Changed,
        _ => TransferError::Unavailable(sentence(status)),
    }
}

fn sentence(status: &Status) -> String {
    match status.message() {
        "" => format!("{:?}", status.code()),
        message => visible(&shortened(message)).to_string(),
    }
}

fn shortened(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    format!("{}…", &message[..message.floor_char_boundary(MAX_MESSAGE)])
}

#[cfg(test)]
mod tests {
    use p2pshare_core::content::{ContentTooLong, ManifestError, PieceMismatch};

    use super::*;

    fn there_and_back(error: &TransferError) -> TransferError {
        let content = ContentId::of(b"content");
        // Through the headers, as over the wire.
        let headers = transfer_status(error).into_http::<tonic::body::Body>();
        let status = Status::from_header_map(headers.headers()).unwrap();
        transfer_error(&status, &content)
    }

    #[test]
    fn every_error_survives_the_wire() {
        let content = ContentId::of(b"content");
        let piece = PieceIndex(17);
        let last = PieceIndex(u32::MAX);
        let mut errors = vec![
            TransferError::NotFound(content),
            TransferError::NotHeld(piece),
            TransferError::Changed,
            TransferError::Refused("no room, ünd no tëa %20".to_owned()),
            TransferError::Unavailable("busy".to_owned()),
            TransferError::Stalled(Duration::from_millis(1500)),
            TransferError::Unsupported,
            TransferError::Protocol("out of order".to_owned()),
            TransferError::Io(Arc::new(io::Error::other("disk on fire"))),
        ];
        errors.extend(
            [
                PieceMismatch::NoSuchPiece { piece, last },
                PieceMismatch::TooLong { piece, len: 5 },
                PieceMismatch::TooShort { piece, missing: 6 },
                PieceMismatch::Hash { piece },
            ]
            .map(TransferError::Mismatch),
        );
        let len = u64::MAX;
        errors.extend(
            [
                ManifestError::TooLong(ContentTooLong { len }),
                ManifestError::NotSingle { len },
                ManifestError::TailLength { len, expected: 1, found: 2 },
                ManifestError::Ragged { found: 33 },
                ManifestError::Count { len, expected: 3, found: 4 },
                ManifestError::Length { len },
                ManifestError::Id { id: content },
            ]
            .map(TransferError::Manifest),
        );
        for error in errors {
            let back = there_and_back(&error);
            assert_eq!(format!("{back:?}"), format!("{error:?}"));
        }
    }

    #[test]
    fn a_hostile_status_is_harmless() {
        let content = ContentId::of(b"content");
        let mut hostile = status(Code::Unavailable, "\u{1b}[2J\u{202e}", "mismatch nonsense 1 2");
        let error = transfer_error(&hostile, &content);
        assert!(matches!(&error, TransferError::Unavailable(text) if !text.contains('\u{1b}')));
        hostile = Status::new(Code::PermissionDenied, "é".repeat(100_000));
        let TransferError::Refused(text) = transfer_error(&hostile, &content) else {
            panic!("a status without the key goes by its code");
        };
        assert!(text.len() < MAX_MESSAGE + 8);
    }

    #[test]
    fn denials_are_refusals_and_tell_a_bad_credential_from_a_good_one() {
        let bad = denied_status(&AccessDenied::Unauthenticated("expired".to_owned()));
        let good = denied_status(&AccessDenied::Forbidden("not this file".to_owned()));
        assert!(wants_credential(&bad) && !wants_credential(&good));
        for (status, message) in [(bad, "expired"), (good, "not this file")] {
            let error = transfer_error(&status, &ContentId::of(b""));
            assert!(matches!(error, TransferError::Refused(text) if text == message));
        }
    }
}
