//! Getting many contents of at most one piece from one source in one call.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, future::ready, stream, stream::BoxStream};
use tokio::time::{Instant, timeout_at};

use super::{DownloadOptions, small::Watched};
use crate::{
    time::later,
    transfer::{Arrival, ManyEvent, PieceSource, SmallContent, TransferError, receive_many},
};

/// How long a source may give nothing at all.
const SILENT: Duration = Duration::from_secs(5);

/// How long its queue may come no nearer to the request's turn.
const QUEUED: Duration = Duration::from_secs(20);

/// How long the whole call may take, however much comes.
const LONGEST: Duration = Duration::from_secs(60);

/// What comes of many small contents from one source that is asked for all of them at once, each verified, in the order
/// asked. Those that it does not give do not come: [`download_small`](super::download_small) asks others for them, and
/// says why nobody gives them.
///
/// It is a short way, and no source is waited for here as it is there: one that is silent for five seconds, whose queue
/// comes no nearer for twenty, or that takes more than a minute in all is [`TransferError::Stalled`].
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
    let arrival = |event| match event {
        Ok(ManyEvent::Content(arrival)) => Some(Ok(arrival)),
        Ok(ManyEvent::Queued(_)) => None,
        Err(error) => Some(Err(error)),
    };
    let arrivals = stream::once(asked).flatten();
    let arrivals = arrivals.filter_map(move |event| ready(arrival(event))).boxed();
    let bounded = stream::unfold(Some((arrivals, None)), |state| async move {
        let (mut arrivals, end) = state?;
        let end = end.unwrap_or_else(|| later(Instant::now(), LONGEST));
        match timeout_at(end, arrivals.next()).await {
            Ok(arrival) => Some((arrival?, Some((arrivals, Some(end))))),
            Err(_) => Some((Err(TransferError::Stalled(LONGEST)), None)),
        }
    });
    bounded.boxed()
}
