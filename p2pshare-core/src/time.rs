//! Points in time, and where they come from.
//!
//! Time is a parameter: a rule or a store is told what time it is and never reads a clock. Only the outermost layer
//! holds a [`Clock`].

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A point in time: milliseconds since the Unix epoch (1970-01-01T00:00:00Z), negative before it.
///
/// Displayed as RFC 3339 in UTC, serialized as the number of milliseconds.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// The latest point that can be told.
    pub const MAX: Self = Self(i64::MAX);

    /// The point `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The point `secs` seconds after the epoch, or the nearest that can be told.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The point `duration` later, in whole milliseconds; `None` if it is too far to be told.
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let millis = i64::try_from(duration.as_millis()).ok()?;
        self.0.checked_add(millis).map(Self)
    }

    /// The point `duration` later, or the latest that can be told.
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or(Self::MAX)
    }

    /// The point `duration` earlier, or the earliest that can be told.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// The time from `earlier` to this point; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        if self < earlier {
            return Duration::ZERO;
        }
        Duration::from_millis(self.0.abs_diff(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::EPOCH.saturating_add(after),
            Err(before) => Self::EPOCH.saturating_sub(before.duration()),
        }
    }
}

impl Display for Timestamp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400_000;
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY));
        let millis = self.0.rem_euclid(DAY);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, milli) = (millis / 1000 % 60, millis % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .description(Some("Milliseconds since 1970-01-01T00:00:00Z"))
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Timestamp {}

/// Year, month and day of the proleptic Gregorian calendar, from days since the epoch.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A time that is as good as for ever: a year.
pub(crate) const AGES: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The moment that comes so long after `begin`. A wait of more than a year ends after a year, so that one may be as long
/// as can be told, for "never".
#[must_use]
pub fn later(begin: Instant, wait: Duration) -> Instant {
    begin + wait.min(AGES)
}

/// Tells what time it is.
///
/// A clock may jump either way, as a system's clock does: whoever compares two readings must not assume an order.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that stands still until it is moved: for tests and simulations. Shared as an `Arc<ManualClock>`.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    /// Makes it show `now`.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Moves it forward and returns what it shows then.
    pub fn advance(&self, by: Duration) -> Timestamp {
        let add = |millis| Some(Timestamp(millis).saturating_add(by).0);
        let before = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        let (Ok(before) | Err(before)) = before;
        Timestamp(before).saturating_add(by)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let t = Timestamp::from_millis(1_500);
        assert_eq!(t.checked_add(Duration::from_millis(500)), Some(Timestamp::from_secs(2)));
        assert_eq!(t.checked_add(Duration::MAX), None);
        assert_eq!(t.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(t.saturating_sub(Duration::from_secs(2)).as_millis(), -500);
        assert_eq!(t.since(Timestamp::MAX), Duration::ZERO);
        let lowest = Timestamp::from_millis(i64::MIN);
        assert_eq!(Timestamp::MAX.since(lowest), Duration::from_millis(u64::MAX));
        assert_eq!(lowest.saturating_sub(Duration::MAX), lowest);
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
        assert_eq!(Timestamp::from_secs(i64::MAX), Timestamp::MAX);
    }

    #[test]
    fn a_wait_may_be_endless() {
        let begin = Instant::now();
        assert_eq!(later(begin, Duration::from_secs(5)).duration_since(begin).as_secs(), 5);
        assert_eq!(later(begin, Duration::MAX).duration_since(begin), AGES);
    }

    #[test]
    fn shown_as_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (4_107_542_400_123, "2100-03-01T00:00:00.123Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
        assert!(!Timestamp::MAX.to_string().is_empty());
        assert!(!Timestamp::from_millis(i64::MIN).to_string().is_empty());
    }

    #[test]
    fn serialized_as_a_number() {
        let t = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(serde_json::to_string(&t).unwrap(), "1700000000123");
        assert_eq!(serde_json::from_str::<Timestamp>("1700000000123").unwrap(), t);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(10)));
        let seen: Arc<dyn Clock> = clock.clone();
        assert_eq!(seen.now(), Timestamp::from_secs(10));
        assert_eq!(clock.advance(Duration::from_secs(5)), Timestamp::from_secs(15));
        assert_eq!(seen.now(), Timestamp::from_secs(15));
        clock.set(Timestamp::EPOCH);
        assert_eq!(seen.now(), Timestamp::EPOCH);
    }
}
