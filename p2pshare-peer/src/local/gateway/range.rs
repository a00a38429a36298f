//! Which bytes a request wants (RFC 9110, sections 13 and 14).

use std::ops::Range;

use http::{HeaderMap, StatusCode, header};

/// What a request wants of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::local) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Nothing,
}

/// What the header `Range` asks for. What cannot be understood, and several ranges at once, may be ignored, and are.
pub(in crate::local) fn wanted(headers: &HeaderMap, len: u64) -> Wanted {
    let mut values = headers.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Wanted::Whole };
    let one = value.to_str().ok().and_then(parse);
    match one {
        None => Wanted::Whole,
        Some((None, Some(0))) => Wanted::Nothing,
        Some((None, Some(last))) if len > 0 => Wanted::Part(len.saturating_sub(last)..len),
        Some((Some(first), _)) if first >= len => Wanted::Nothing,
        Some((Some(first), last)) => {
            let end = last.map_or(len, |last| last.saturating_add(1).min(len));
            Wanted::Part(first..end)
        }
        Some((None, _)) => Wanted::Whole,
    }
}

/// `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LENGTH`.
fn parse(value: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    let range = (number(first)?, number(last)?);
    match range {
        (None, None) => None,
        (Some(first), Some(last)) if first > last => None,
        range => Some(range),
    }
}

/// Digits, or nothing at all. A number that is too large for any content is the largest.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

/// Whether `If-Range` lets ranges be. A date says nothing of a content.
pub(in crate::local) fn is_current(headers: &HeaderMap, etag: &str) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes())
}

/// The answer to a request that is not for the content as it is, or for one that is known already.
pub(in crate::local) fn precondition(headers: &HeaderMap, etag: &str) -> Option<StatusCode> {
    let names = |name| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut tags = values.flat_map(|value| value.split(',')).map(str::trim).peekable();
        tags.peek()?;
        Some(tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag))
    };
    if names(header::IF_MATCH) == Some(false) {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    (names(header::IF_NONE_MATCH) == Some(true)).then_some(StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    fn of(value: &str, len: u64) -> Wanted {
        wanted(&headers(header::RANGE, value), len)
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (value, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=0-", Wanted::Part(0..10)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("Bytes=2-500", Wanted::Part(2..10)),
            ("bytes=9-18446744073709551615", Wanted::Part(9..10)),
            ("bytes=9-99999999999999999999999", Wanted::Part(9..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes 0-1", Wanted::Whole),
        ] {
            assert_eq!(of(value, 10), expected, "{value}");
        }
        assert_eq!(of("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(of("bytes=-5", 0), Wanted::Whole);
        assert_eq!(wanted(&HeaderMap::new(), 10), Wanted::Whole);
    }

    #[test]
    fn conditions_are_about_the_content_id() {
        let etag = "\"ab\"";
        assert!(is_current(&HeaderMap::new(), etag));
        assert!(is_current(&headers(header::IF_RANGE, etag), etag));
        for other in ["\"cd\"", "W/\"ab\"", "Tue, 01 Jan 2030 00:00:00 GMT"] {
            assert!(!is_current(&headers(header::IF_RANGE, other), etag), "{other}");
        }
        let condition = |name, value| precondition(&headers(name, value), etag);
        let (same, other) = (header::IF_NONE_MATCH, header::IF_MATCH);
        for value in ["\"ab\"", "W/\"ab\"", "\"x\", \"ab\"", "*"] {
            assert_eq!(condition(same.clone(), value), Some(StatusCode::NOT_MODIFIED), "{value}");
            assert_eq!(condition(other.clone(), value), None, "{value}");
        }
        assert_eq!(condition(same, "\"x\""), None);
        assert_eq!(condition(other, "\"x\""), Some(StatusCode::PRECONDITION_FAILED));
        assert_eq!(precondition(&HeaderMap::new(), etag), None);
    }

    proptest! {
        /// Whatever is asked for, what is given lies in the content and is not empty.
        #[test]
        fn a_part_lies_in_the_content(
            value in "(bytes|x)?=?[0-9]{0,22}-?[0-9]{0,22}(,[0-9]-[0-9])?",
            len in any::<u64>(),
        ) {
            if let Wanted::Part(part) = of(&value, len) {
                prop_assert!(part.start < part.end && part.end <= len);
            }
        }
    }
}
