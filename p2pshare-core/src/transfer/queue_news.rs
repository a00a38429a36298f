//! What a queue tells those who wait in it.

use super::TransferError;

/// Watches the places that another peer tells to a request in its queue, so that it cannot keep it waiting with news
/// alone.
#[derive(Clone, Debug, Default)]
pub struct QueueNews {
    best: Option<u32>,
    count: u32,
}

impl QueueNews {
    /// So many places are taken for one request. An honest queue tells a new place when others join or leave.
    pub const MAX: u32 = 100_000;

    /// Takes the next place. True if it is the best so far: the request comes nearer to its turn.
    ///
    /// # Errors
    ///
    /// [`TransferError::Unavailable`] after [`MAX`](Self::MAX) places: not a lie, for others may come and go in an honest
    /// queue as they like.
    pub fn take(&mut self, position: u32) -> Result<bool, TransferError> {
        if self.count == Self::MAX {
            let what = format!("it told more than {} places in its queue and no byte", Self::MAX);
            return Err(TransferError::Unavailable(what));
        }
        self.count += 1;
        let nearer = self.best.is_none_or(|best| position < best);
        if nearer {
            self.best = Some(position);
        }
        Ok(nearer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_best_place_so_far_is_nearer() {
        let mut news = QueueNews::default();
        let nearer: Vec<_> = [5, 5, 6, 4, 5, 4, 1, 1].map(|place| news.take(place).unwrap()).into();
        assert_eq!(nearer, [true, false, false, true, false, false, true, false]);
    }

    #[test]
    fn news_end() {
        let mut news = QueueNews::default();
        let mut places = (0..QueueNews::MAX).map(|number| u32::MAX - number);
        assert!(places.all(|place| news.take(place).unwrap()));
        let error = news.take(1).unwrap_err();
        assert!(error.is_passing() && !error.is_lie(), "{error}");
    }
}
