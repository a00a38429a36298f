//! One direction of one connection.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
};
use tokio_util::sync::CancellationToken;

use super::fault::WireFault;
use crate::transfer::RateLimit;

const BUFFER: usize = 64 << 10;

/// How a direction ends that does not end as the sender ends it.
#[derive(Debug)]
pub(super) struct Broken;

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// One direction.
pub(super) struct Pass<'a> {
    pub(super) from: ReadHalf<'a>,
    pub(super) to: WriteHalf<'a>,
    pub(super) fault: Option<WireFault>,
    /// Told when this direction ends.
    pub(super) ended: CancellationToken,
    /// Tells when the other direction ends.
    pub(super) other_ended: CancellationToken,
}

impl Pass<'_> {
    /// Passes on until the end. `heard` is told what is passed on.
    ///
    /// # Errors
    /// When the connection is to be reset.
    pub(super) async fn run(mut self, heard: impl Fn(&[u8])) -> Result<(), Broken> {
        let result = self.pass(heard).await;
        self.ended.cancel();
        result
    }

    async fn pass(&mut self, heard: impl Fn(&[u8])) -> Result<(), Broken> {
        let mut buffer = vec![0; BUFFER];
        let rate = RateLimit::new(match self.fault {
            Some(WireFault::Slow(rate)) => Some(rate),
            _ => None,
        });
        let mut passed = 0;
        loop {
            if let Some(fault) = self.fault_at(passed) {
                return self.end_with(fault, &mut buffer).await;
            }
            let most = usize::try_from(rate.take_some(self.room(passed)).await).unwrap_or(BUFFER);
            let len = self.from.read(&mut buffer[..most.min(BUFFER)]).await?;
            if len == 0 {
                // The receiver may be gone already.
                let _ = self.to.shutdown().await;
                return Ok(());
            }
            let data = &mut buffer[..len];
            self.corrupt(data, passed);
            heard(data);
            self.to.write_all(data).await?;
            passed = passed.saturating_add(len as u64);
        }
    }

    /// How many bytes may be read at once so that a fault comes where it should.
    fn room(&self, passed: u64) -> u64 {
        let most = BUFFER as u64;
        match self.fault {
            Some(WireFault::Cut(at) | WireFault::Stall(at) | WireFault::Reset(at)) => {
                most.min(at.saturating_sub(passed))
            }
            _ => most,
        }
    }

    /// The fault that ends this direction here.
    fn fault_at(&self, passed: u64) -> Option<WireFault> {
        match self.fault? {
            WireFault::Cut(at) | WireFault::Stall(at) | WireFault::Reset(at) if at <= passed => {
                self.fault
            }
            _ => None,
        }
    }

    async fn end_with(&mut self, fault: WireFault, buffer: &mut [u8]) -> Result<(), Broken> {
        match fault {
            WireFault::Cut(_) => {
                let _ = self.to.shutdown().await;
                while self.from.read(buffer).await? > 0 {}
                Ok(())
            }
            WireFault::Stall(_) => {
                // Whoever waits here gives up some time: then the other direction ends.
                self.other_ended.cancelled().await;
                Ok(())
            }
            WireFault::Reset(_) => Err(Broken),
            WireFault::CorruptByte(_) | WireFault::Slow(_) => Ok(()),
        }
    }

    fn corrupt(&self, data: &mut [u8], passed: u64) {
        let Some(WireFault::CorruptByte(at)) = self.fault else {
            return;
        };
        let index = at.checked_sub(passed).and_then(|index| usize::try_from(index).ok());
        if let Some(byte) = index.and_then(|index| data.get_mut(index)) {
            *byte ^= 1;
        }
    }
}
