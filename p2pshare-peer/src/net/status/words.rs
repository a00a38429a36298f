//! The errors about pieces and manifests as words and numbers, and back.

use p2pshare_core::content::{ContentId, ContentTooLong, ManifestError, PieceIndex, PieceMismatch};

/// `kind words…`
pub(super) fn join(kind: &str, words: &[String]) -> String {
    format!("{kind} {}", words.join(" "))
}

pub(super) fn mismatch_out(mismatch: &PieceMismatch) -> Vec<String> {
    match mismatch {
        PieceMismatch::NoSuchPiece { piece, last } => words("no-such-piece", [piece, last]),
        PieceMismatch::TooLong { piece, len } => {
            words("too-long", [&piece.0 as &dyn ToString, len])
        }
        PieceMismatch::TooShort { piece, missing } => {
            words("too-short", [&piece.0 as &dyn ToString, missing])
        }
        PieceMismatch::Hash { piece } => words("hash", [piece]),
        // The type may grow: then the other end has the message alone.
        _ => Vec::new(),
    }
}

pub(super) fn mismatch_in(text: &str) -> Option<PieceMismatch> {
    let mut words = text.split(' ');
    let (kind, piece) = (words.next()?, PieceIndex(words.next()?.parse().ok()?));
    let number = words.next();
    let mismatch = match kind {
        "no-such-piece" => {
            PieceMismatch::NoSuchPiece { piece, last: PieceIndex(number?.parse().ok()?) }
        }
        "too-long" => PieceMismatch::TooLong { piece, len: number?.parse().ok()? },
        "too-short" => PieceMismatch::TooShort { piece, missing: number?.parse().ok()? },
        "hash" => PieceMismatch::Hash { piece },
        _ => return None,
    };
    Some(mismatch)
}

pub(super) fn manifest_out(error: &ManifestError) -> Vec<String> {
    match error {
        ManifestError::TooLong(ContentTooLong { len }) => words("too-long", [len]),
        ManifestError::NotSingle { len } => words("not-single", [len]),
        ManifestError::TailLength { len, expected, found } => {
            words("tail-length", [len as &dyn ToString, expected, found])
        }
        ManifestError::Ragged { found } => words("ragged", [found]),
        ManifestError::Count { len, expected, found } => {
            words("count", [len as &dyn ToString, expected, found])
        }
        ManifestError::Length { len } => words("length", [len]),
        ManifestError::Id { .. } => words("id", [] as [&u64; 0]),
        _ => Vec::new(),
    }
}

pub(super) fn manifest_in(text: &str, content: &ContentId) -> Option<ManifestError> {
    let mut words = text.split(' ');
    let kind = words.next()?;
    let first = words.next().unwrap_or_default();
    let mut number = || words.next()?.parse::<usize>().ok();
    let error = match kind {
        "too-long" => ManifestError::TooLong(ContentTooLong { len: first.parse().ok()? }),
        "not-single" => ManifestError::NotSingle { len: first.parse().ok()? },
        "tail-length" => ManifestError::TailLength {
            len: first.parse().ok()?,
            expected: number()?,
            found: number()?,
        },
        "ragged" => ManifestError::Ragged { found: first.parse().ok()? },
        "count" => {
            ManifestError::Count { len: first.parse().ok()?, expected: number()?, found: number()? }
        }
        "length" => ManifestError::Length { len: first.parse().ok()? },
        "id" => ManifestError::Id { id: *content },
        _ => return None,
    };
    Some(error)
}

fn words<'a, T: ToString + ?Sized + 'a>(
    kind: &str,
    numbers: impl IntoIterator<Item = &'a T>,
) -> Vec<String> {
    let numbers = numbers.into_iter().map(ToString::to_string);
    std::iter::once(kind.to_owned()).chain(numbers).collect()
}
