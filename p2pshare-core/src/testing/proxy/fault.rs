//! What can go wrong on a wire.

use std::num::NonZeroU64;

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From whoever connected.
    ToServer,
    /// From whoever was connected to.
    ToClient,
}

/// What goes wrong in one direction of a connection. Offsets count the bytes of this direction, from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// A bit of the byte at this offset is flipped.
    CorruptByte(u64),
    /// After so many bytes the receiver sees the end of the stream. What else is sent is lost, unnoticed by the sender.
    Cut(u64),
    /// After so many bytes nothing more passes, and nothing ends.
    Stall(u64),
    /// After so many bytes both ends see that the connection was reset.
    Reset(u64),
    /// No more than so many bytes pass in a second.
    Slow(NonZeroU64),
}

/// What goes wrong on one connection. None of it unless it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireFaults {
    /// What happens to the bytes from whoever connected.
    pub to_server: Option<WireFault>,
    /// What happens to the bytes from whoever was connected to.
    pub to_client: Option<WireFault>,
}

impl WireFaults {
    /// 1 KB/s.
    const SLOW: NonZeroU64 = NonZeroU64::MIN.saturating_add(999);

    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// This goes wrong in this direction.
    #[must_use]
    pub fn with(mut self, direction: Direction, fault: WireFault) -> Self {
        *self.direction_mut(direction) = Some(fault);
        self
    }

    /// Random faults, the same for the same seed and number of a connection: in three of four connections one, at times
    /// one in each direction, each of the five kinds as likely.
    ///
    /// Offsets are below `reach` and about as often below 100 as between 10,000 and 1,000,000, so that handshakes,
    /// headers and contents are all hit.
    #[must_use]
    pub fn seeded(seed: u64, connection: u64, reach: u64) -> Self {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(connection);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let none = Self::none();
        match random.random_range(0..8_u32) {
            0 | 1 => none,
            2 => none.with(Direction::ToServer, fault(&mut random, reach)),
            3 => {
                let faults = none.with(Direction::ToServer, fault(&mut random, reach));
                faults.with(Direction::ToClient, fault(&mut random, reach))
            }
            _ => none.with(Direction::ToClient, fault(&mut random, reach)),
        }
    }

    pub(super) fn direction(&self, direction: Direction) -> Option<WireFault> {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }

    fn direction_mut(&mut self, direction: Direction) -> &mut Option<WireFault> {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

fn fault(random: &mut Xoshiro256PlusPlus, reach: u64) -> WireFault {
    let bits = random.random_range(0..=reach.max(1).ilog2() + 1);
    let end = 1_u64.checked_shl(bits).unwrap_or(u64::MAX).min(reach.max(1));
    let at = random.random_range(0..end);
    match random.random_range(0..5_u32) {
        0 => WireFault::CorruptByte(at),
        1 => WireFault::Cut(at),
        2 => WireFault::Stall(at),
        3 => WireFault::Reset(at),
        _ => WireFault::Slow(WireFaults::SLOW),
    }
}
