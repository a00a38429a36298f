//! Lengths of time as people write them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A length of time: a whole number and a unit (`ms`, `s`, `m`, `h`, `d`), such as `90s` or `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Span(pub(super) Duration);

/// A text that is no length of time.
#[derive(Debug, thiserror::Error)]
#[error(
    "this is not a length of time: write a whole number and one of ms, s, m, h, d, such as 90s"
)]
pub(super) struct SpanError;

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(SpanError)?;
        let (number, unit) = text.split_at(unit_at);
        let number: u64 = number.parse().map_err(|_| SpanError)?;
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SpanError)?;
        let millis = number.checked_mul(*millis).ok_or(SpanError)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (name, unit) = UNITS
            .iter()
            .rev()
            .find(|(_, unit)| millis % unit == 0 && millis >= *unit)
            .unwrap_or(&UNITS[1]);
        write!(f, "{}{name}", millis / unit)
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_survives_its_text() {
        for (text, millis) in
            [("0s", 0), ("1500ms", 1500), ("90s", 90_000), ("2m", 120_000), ("30d", 2_592_000_000)]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(millis));
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        for text in ["", "10", "s", "-1s", "1.5s", "1 s", "1w", "99999999999999999999d", "1é"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }
}
