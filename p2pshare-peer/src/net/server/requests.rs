//! How much of a request is taken.

use bytes::Bytes;
use futures::stream;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::body::Body;

use crate::net::grpc::PUSH;
use crate::net::limits::MAX_REQUEST;

/// A request of which no more than [`MAX_REQUEST`] is taken, unless it is a push. The calls of the transfer service read
/// their requests before they answer; `is_transfer` says that it is one.
pub(super) fn bounded(request: Request<Incoming>, is_transfer: bool) -> Request<Body> {
    if request.uri().path() == PUSH {
        return request.map(Body::new);
    }
    request.map(|body| {
        let too_long = format!("the request is longer than {MAX_REQUEST} bytes");
        let limited = Limited::new(body, MAX_REQUEST)
            .map_err(move |_| Status::out_of_range(too_long.clone()))
            .boxed_unsync();
        if is_transfer { Body::new(limited) } else { read_at_once(limited) }
    })
}

type Limit = http_body_util::combinators::UnsyncBoxBody<Bytes, Status>;

/// Reads a request as it comes, whether or not anybody wants it yet, and drops it when it becomes too long. Else one whose
/// service waits for room in its answer would stay in the connection's windows, which are made for pushes.
fn read_at_once(mut body: Limit) -> Body {
    // What it holds is bounded by what is read.
    let (sender, receiver) = mpsc::unbounded_channel::<Result<Frame<Bytes>, Status>>();
    let reading = tokio::spawn(async move {
        while let Some(frame) = body.frame().await {
            let is_empty = |frame: &Frame<Bytes>| frame.data_ref().is_some_and(Bytes::is_empty);
            if frame.as_ref().is_ok_and(is_empty) {
                continue;
            }
            let failed = frame.is_err();
            if sender.send(frame).is_err() || failed {
                return;
            }
        }
    });
    let reading = AbortOnDropHandle::new(reading);
    let frames = stream::unfold((receiver, reading), |(mut receiver, reading)| async move {
        let frame = receiver.recv().await?;
        Some((frame, (receiver, reading)))
    });
    Body::new(StreamBody::new(frames))
}
