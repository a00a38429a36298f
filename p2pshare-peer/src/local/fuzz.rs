//! What is done with requests to the gateway in fuzzing.

use http::{HeaderMap, HeaderValue, header};

use super::gateway::range::{Wanted, is_current, precondition, wanted};

/// Whatever ranges are asked for, what is given of a content lies in it and is not empty; asked for by its bounds, it is
/// the same. The bytes are the length of the content, in digits, then after a blank what the headers say.
///
/// # Panics
/// When it does not, as all targets do.
pub fn range(data: &[u8]) {
    let Some((len, value)) = split(data) else { return };
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let of = |value: &HeaderValue| HeaderMap::from_iter([(header::RANGE, value.clone())]);
    match wanted(&of(&value), len) {
        Wanted::Whole => {}
        Wanted::Nothing => assert!(value.as_bytes().contains(&b'-'), "{value:?} of {len}"),
        Wanted::Part(part) => {
            assert!(part.start < part.end && part.end <= len, "{value:?} of {len}: {part:?}");
            let (first, last) = (part.start, part.end - 1);
            let bounds = HeaderValue::from_str(&format!("bytes={first}-{last}"));
            let bounds = bounds.expect("digits can be sent");
            assert_eq!(wanted(&of(&bounds), len), Wanted::Part(part), "{value:?} of {len}");
        }
    }
    // Several ranges may be ignored, and are.
    let mut twice = of(&value);
    twice.append(header::RANGE, value.clone());
    assert_eq!(wanted(&twice, len), Wanted::Whole, "{value:?} twice");

    let etag = "\"ab\"";
    let is_the_tag = value.as_bytes() == etag.as_bytes();
    let if_range = HeaderMap::from_iter([(header::IF_RANGE, value.clone())]);
    assert_eq!(is_current(&if_range, etag), is_the_tag, "{value:?}");
    for (name, refuses) in [(header::IF_MATCH, false), (header::IF_NONE_MATCH, true)] {
        let refused = precondition(&HeaderMap::from_iter([(name, value.clone())]), etag).is_some();
        assert!(!is_the_tag || refused == refuses, "{value:?}");
    }
}

fn split(data: &[u8]) -> Option<(u64, &[u8])> {
    let blank = data.iter().position(|byte| *byte == b' ')?;
    let len = std::str::from_utf8(&data[..blank]).ok()?.parse().ok()?;
    Some((len, &data[blank + 1..]))
}
