//! The transfer service: an adapter from gRPC to any [`GuardedSource`] and [`PushReceiver`].
//!
//! It translates, asks the guard, and shares out upload slots. It reads no file and knows no user.

mod fetch;
mod have;
mod many;
mod places;
mod pump;
mod push;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use p2pshare_core::content::ContentId;
use p2pshare_core::identity::{Access, PeerConnection, PeerId};
use p2pshare_core::process::cores;
use p2pshare_core::transfer::{
    AccessRequest, Admission, GuardedSource, PieceSource, PushReceiver, RateLimit, Spread,
    TransferGuard, UploadSlots,
};
use p2pshare_proto::v1::{self, transfer_server::Transfer};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::grpc::{self, Encoded, Incoming, OutgoingBody, SegmentField};
use super::io::Traffic;
use super::limits::{MAX_OFFER, MAX_REQUEST, MAX_SEGMENT_MESSAGE, ServerLimits};
use super::status::{denied_status, transfer_status};
use super::uploads::Uploads;
use super::wire;
use pump::Reader;

/// What a peer's server serves, and to whom.
#[derive(Clone)]
pub struct ServerServices {
    /// Where manifests, have-sets and bytes come from, for each caller as far as they are for them.
    pub source: Arc<dyn GuardedSource>,
    /// Who is let in.
    pub guard: Arc<dyn TransferGuard>,
    /// Who takes pushes; `None` refuses them all.
    pub receiver: Option<Arc<dyn PushReceiver>>,
    /// The slots that fetches wait for.
    pub slots: UploadSlots,
    /// How fast all fetches together may go.
    pub upload_rate: RateLimit,
    /// Where fetches that run or wait are listed.
    pub uploads: Uploads,
}

impl fmt::Debug for ServerServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerServices")
            .field("takes_pushes", &self.receiver.is_some())
            .finish_non_exhaustive()
    }
}

/// The service as the generated code wants it.
pub(crate) struct TransferService {
    services: ServerServices,
    spread: Spread,
    places: places::Places,
    /// For calls that bring a grant for each of many contents.
    letting_in: Arc<Semaphore>,
    stall_timeout: Duration,
    answer_timeout: Duration,
}

impl TransferService {
    pub(crate) fn new(services: ServerServices, limits: &ServerLimits) -> Self {
        Self {
            services,
            spread: Spread::default(),
            places: places::Places::new(limits.pushes, limits.pushes_per_user),
            letting_in: Arc::new(Semaphore::new(cores().get())),
            stall_timeout: limits.stall_timeout,
            answer_timeout: limits.answer_timeout,
        }
    }

    /// Whether the call is one that carries bytes, for [`answer_bulk`](Self::answer_bulk).
    pub(crate) fn is_bulk(path: &str) -> bool {
        matches!(path, grpc::FETCH | grpc::FETCH_MANY | grpc::PUSH)
    }

    /// Answers `Fetch`, `FetchMany` and `Push`.
    pub(crate) async fn answer_bulk(
        self: Arc<Self>,
        request: http::Request<Body>,
    ) -> http::Response<Body> {
        let (parts, body) = request.into_parts();
        // Set by this project's server, as below.
        let traffic: Traffic = parts.extensions.get().cloned().unwrap_or_default();
        let metadata = MetadataMap::from_headers(parts.headers);
        let request = Request::from_parts(metadata, parts.extensions, body);
        let answers = match parts.uri.path() {
            grpc::PUSH => self.push_pieces(request).await,
            grpc::FETCH_MANY => self.fetch_many_contents(request).await,
            _ => self.fetch_pieces(request).await,
        };
        let answers = match answers {
            Ok(answers) => answers,
            Err(status) => return status.into_http(),
        };
        let mut response =
            http::Response::new(Body::new(OutgoingBody::of_answer(answers, traffic)));
        let content_type = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
        response
    }

    async fn fetch_pieces(&self, request: Request<Body>) -> Result<Answers<Encoded>, Status> {
        let (metadata, extensions, body) = request.into_parts();
        let reader = self.reader(&extensions);
        let messages = Incoming::<v1::FetchRequest>::of_request(body, None, MAX_REQUEST);
        let asked = messages.only().await?;
        let request = Request::from_parts(metadata, extensions, ());
        let (content, admission, source) = self.admit_fetch(&request, &asked.content_id)?;
        let wish = wire::wish_in(&asked);
        let work = fetch::Fetch {
            services: self.services.clone(),
            source,
            spread: self.spread.clone(),
            user: admission.user,
            peer: key_of(request.extensions()),
            content,
            wish: wish.map_err(|error| transfer_status(&error))?,
        };
        Ok(fetch::answer(work, reader))
    }

    async fn fetch_many_contents(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Answers<Encoded>, Status> {
        let (metadata, extensions, body) = request.into_parts();
        let reader = self.reader(&extensions);
        let messages = Incoming::<v1::FetchManyRequest>::of_request(body, None, MAX_REQUEST);
        let asked = messages.only().await?;
        let services = self.services.clone();
        let peer = key_of(&extensions);
        // Each grant takes time: together more than a thread may be away from all other calls, and few may be at it.
        let turn = self.letting_in.clone().acquire_owned().await;
        let letting_in = move || {
            let _turn = turn;
            many::admit(&asked, &metadata, |credential, content| {
                self.admit(credential, &extensions, Access::Fetch, content)
            })
        };
        let admitted = spawn_blocking(letting_in).await;
        let admitted =
            admitted.unwrap_or_else(|_| Err(Status::unavailable("the peer is stopping")))?;
        Ok(many::answer(services, peer, admitted, reader))
    }

    async fn push_pieces(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Answers<Encoded>, Status> {
        let (metadata, extensions, body) = request.into_parts();
        let field = Some(SegmentField::PUSH);
        let messages = Incoming::of_request(body, field, MAX_OFFER);
        let mut inbound = push::Inbound::new(messages, self.stall_timeout);
        let offer = inbound.offer().await?;
        let admission = self.admit(bearer(&metadata), &extensions, Access::Push, offer.content)?;
        inbound.allow(MAX_SEGMENT_MESSAGE);
        let (service, reader) = (self.clone(), self.reader(&extensions));
        let let_in = move |offer: &push::Offer| {
            service.admit(Some(&offer.grant), &extensions, Access::Push, offer.content)
        };
        let work = push::Push::new(&self, admission, offer, Box::new(let_in))?;
        Ok(pump::spawn(reader, |answers| work.run(inbound, answers)))
    }

    /// Who reads the answer of a call.
    fn reader(&self, extensions: &Extensions) -> Reader {
        // Only this project's server sets it; under any other nothing is known of the answer.
        let untaken = extensions.get().cloned().unwrap_or_default();
        Reader { untaken, stall_timeout: self.stall_timeout }
    }

    /// Asks the guard. Every call does so before anything is read or written for it.
    fn admit(
        &self,
        credential: Option<&str>,
        extensions: &Extensions,
        access: Access,
        content: ContentId,
    ) -> Result<Admission, Status> {
        // Only this project's server sets it; under any other nothing is known of the connection.
        let connection = extensions.get().copied().unwrap_or(PeerConnection::Plain);
        let request = AccessRequest { credential, access, content, connection };
        let guard = &self.services.guard;
        guard.admit(&request).map_err(|denied| {
            tracing::debug!(?request, %denied, "call refused");
            denied_status(&denied)
        })
    }

    /// Lets in a call that reads, and gives the source as it is for the caller.
    fn admit_fetch<T>(
        &self,
        request: &Request<T>,
        content_id: &[u8],
    ) -> Result<(ContentId, Admission, Arc<dyn PieceSource>), Status> {
        let content = wire::content_id(content_id).map_err(|error| transfer_status(&error))?;
        let (metadata, extensions) = (request.metadata(), request.extensions());
        let admission = self.admit(bearer(metadata), extensions, Access::Fetch, content)?;
        let source = self.services.source.within(admission.reach);
        Ok((content, admission, source))
    }
}

/// The peer that calls, if it has proved its key.
fn key_of(extensions: &Extensions) -> Option<PeerId> {
    match extensions.get() {
        Some(PeerConnection::Tls { key }) => *key,
        _ => None,
    }
}

/// The credential in `authorization: Bearer CREDENTIAL`.
fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl Transfer for TransferService {
    type ManifestStream = Answers<v1::ManifestPart>;
    type HaveStream = Answers<v1::HaveUpdate>;
    type FetchStream = Answers<v1::FetchResponse>;
    type FetchManyStream = Answers<v1::FetchResponse>;
    type PushStream = Answers<v1::PushResponse>;

    async fn manifest(
        &self,
        request: Request<v1::ManifestRequest>,
    ) -> Result<Response<Self::ManifestStream>, Status> {
        let reader = self.reader(request.extensions());
        let (content, _, source) = self.admit_fetch(&request, &request.get_ref().content_id)?;
        let manifest = source.manifest(&content).await;
        let manifest = manifest.map_err(|error| transfer_status(&error))?;
        // It is memory until it is read.
        let parts = pump::spawn(reader, async |answers| {
            for part in wire::manifest_parts(manifest) {
                answers.send(part).await?;
            }
            Ok(())
        });
        Ok(Response::new(parts))
    }

    async fn have(
        &self,
        request: Request<v1::HaveRequest>,
    ) -> Result<Response<Self::HaveStream>, Status> {
        let (content, _, source) = self.admit_fetch(&request, &request.get_ref().content_id)?;
        let updates = source.have(&content).await;
        let updates = updates.map_err(|error| transfer_status(&error))?;
        Ok(Response::new(have::answer(updates)))
    }

    // These three carry the bytes and are answered by `TransferService::answer_bulk`, before the generated code sees them.
    async fn fetch(
        &self,
        _request: Request<v1::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        Err(Status::unimplemented("Fetch is answered elsewhere"))
    }

    async fn fetch_many(
        &self,
        _request: Request<v1::FetchManyRequest>,
    ) -> Result<Response<Self::FetchManyStream>, Status> {
        Err(Status::unimplemented("FetchMany is answered elsewhere"))
    }

    async fn push(
        &self,
        _request: Request<Streaming<v1::PushRequest>>,
    ) -> Result<Response<Self::PushStream>, Status> {
        Err(Status::unimplemented("Push is answered elsewhere"))
    }
}
