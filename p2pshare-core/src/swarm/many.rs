//! Getting many contents of at most one piece from one source in one call.

use std::{mem, sync::Arc, time::Duration};

use futures::{StreamExt, stream, stream::BoxStream};
use tokio::time::{Instant, timeout_at};

use super::{DownloadOptions, small::Watched};
use crate::{
    time::later,
    transfer::{Arrival, ManyEvent, PieceSource, SmallContent, TransferError, receive_many},
};

/// How long a source may give nothing at all.
const SILENT: Duration = Duration::from_secs(5);

/// How long the request may be in its queue, until the first content has come.
const QUEUED: Duration = Duration::from_secs(30);

/// How long the contents may take in all, however much comes.
const LONGEST: Duration = Duration::from_secs(20);

/// What comes of many small contents from one source that is asked for all of them at once, each verified, in the order
/// asked. Those that it does not give do not come: [`download_small`](super::download_small) asks others for them, and
/// says why nobody gives them.
///
/// It is a short way, and no source is waited for here as it is there: one that is silent for five seconds, that takes
/// more than twenty in all, or in whose queue the request is for more than thirty, is [`TransferError::Stalled`].
///
/// After an error the stream ends. Dropping the stream ends the call. Memory is that of one content, beside what the source
/// lets wait.
pub fn download_many(
    source: Arc<dyn PieceSource>,
    wanted: Vec<SmallContent>,
) -> BoxStream<'static, Result<Arrival, TransferError>> {
    let options = DownloadOptions {
        answer: SILENT,
        stall: SILENT,
        queue_stall: QUEUED,
        ..DownloadOptions::default()
    };
    let watched = Watched::new(source, &options);
    let asked = async move {
        match watched.fetch_many(&wanted).await {
            Ok(stream) => receive_many(stream, wanted).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    };
    let events = stream::once(asked).flatten().boxed();
    let coming = Coming { events, queued: false, begun: None, until: None };
    stream::unfold(Some(coming), |coming| async move {
        let mut coming = coming?;
        match coming.next().await {
            Ok(arrival) => Some((Ok(arrival?), Some(coming))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

struct Coming {
    events: BoxStream<'static, Result<ManyEvent, TransferError>>,
    /// It waits in the source's queue, as far as is known.
    queued: bool,
    begun: Option<Instant>,
    until: Option<Instant>,
}

impl Coming {
    async fn next(&mut self) -> Result<Option<Arrival>, TransferError> {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        loop {
            let until = *self.until.get_or_insert_with(|| later(begun, LONGEST));
            let Ok(event) = timeout_at(until, self.events.next()).await else {
                return Err(TransferError::Stalled(begun.elapsed()));
            };
            match event.transpose()? {
                Some(ManyEvent::Queued(_)) => {
                    self.queued = true;
                    self.until = Some(later(begun, QUEUED));
                }
                Some(ManyEvent::Content(arrival)) => {
                    if mem::take(&mut self.queued) {
                        self.until = Some(later(Instant::now(), LONGEST));
                    }
                    return Ok(Some(arrival));
                }
                None => return Ok(None),
            }
        }
    }
}
