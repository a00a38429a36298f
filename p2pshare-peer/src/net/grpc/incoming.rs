//! Messages as they come in.

use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Status};

use super::parse::{Parser, Part, SegmentField};

/// The messages of a request or an answer.
pub(crate) struct Incoming<M> {
    body: Body,
    parser: Parser<M>,
    end: End,
}

/// How it ends.
enum End {
    /// A request ends with its body.
    Request,
    /// An answer ends with a status after its body. This is what HTTP said.
    Answer(StatusCode),
    /// It has ended.
    Ended,
}

impl<M: Message + Default> Incoming<M> {
    /// The messages of a request, which have segments in this field, if any.
    pub(crate) fn of_request(body: Body, field: Option<SegmentField>, max_message: usize) -> Self {
        Self { body, parser: Parser::new(field, max_message), end: End::Request }
    }

    /// The messages of an answer.
    ///
    /// # Errors
    /// The status, when the answer is nothing but one.
    pub(crate) fn of_answer(
        answer: Response<Body>,
        field: Option<SegmentField>,
        max_message: usize,
    ) -> Result<Response<Self>, Status> {
        let (parts, body) = answer.into_parts();
        let end = match Status::from_header_map(&parts.headers) {
            Some(status) if status.code() == Code::Ok => End::Ended,
            Some(status) => return Err(status),
            None => End::Answer(parts.status),
        };
        let messages = Self { body, parser: Parser::new(field, max_message), end };
        Ok(Response::from_parts(parts, messages))
    }

    /// From now on messages may be so long.
    pub(crate) fn allow(&mut self, max_message: usize) {
        self.parser.allow(max_message);
    }

    /// What comes next, `None` at the end.
    ///
    /// Cancellation: dropping the future loses nothing.
    ///
    /// # Errors
    /// The status with which the answer ended, or what is wrong with what came. After an error nothing more comes.
    pub(crate) async fn next(&mut self) -> Result<Option<Part<M>>, Status> {
        let next = self.find_next().await;
        if next.is_err() {
            self.end = End::Ended;
        }
        next
    }

    /// The one message of a request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) async fn only(mut self) -> Result<M, Status> {
        let Some(Part::Message(message)) = self.next().await? else {
            return Err(Status::internal("the request has no message"));
        };
        match self.next().await? {
            None => Ok(message),
            Some(_) => Err(Status::internal("the request has more than one message")),
        }
    }

    async fn find_next(&mut self) -> Result<Option<Part<M>>, Status> {
        while !matches!(self.end, End::Ended) {
            if let Some(part) = self.parser.next()? {
                return Ok(Some(part));
            }
            match self.body.frame().await.transpose()? {
                None => return self.finish(&HeaderMap::new()),
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.parser.push(data),
                    Err(frame) => {
                        return self.finish(&frame.into_trailers().unwrap_or_default());
                    }
                },
            }
        }
        Ok(None)
    }

    fn finish(&mut self, trailers: &HeaderMap) -> Result<Option<Part<M>>, Status> {
        if let End::Answer(http) = std::mem::replace(&mut self.end, End::Ended) {
            match Status::from_header_map(trailers) {
                Some(status) if status.code() == Code::Ok => {}
                Some(status) => return Err(status),
                None => return Err(without_status(http)),
            }
        }
        self.parser.finish()?;
        Ok(None)
    }
}

/// What an answer means that has no status of gRPC.
fn without_status(http: StatusCode) -> Status {
    let message = format!("the answer ended without a status; that of HTTP is {http}");
    match http {
        StatusCode::UNAUTHORIZED => Status::unauthenticated(message),
        StatusCode::FORBIDDEN => Status::permission_denied(message),
        StatusCode::NOT_FOUND => Status::unimplemented(message),
        StatusCode::OK => Status::unknown(message),
        _ => Status::unavailable(message),
    }
}
