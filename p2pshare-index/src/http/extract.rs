//! Reading requests, so that whatever is wrong with one is answered with a problem document.

use axum::{
    extract::{FromRequest, FromRequestParts, Path as AxumPath, Query as AxumQuery, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header, request::Parts};
use p2pshare_core::{
    api::ProblemKind,
    auth::SessionToken,
    index::{Caller, IndexError, Operator},
};
use percent_encoding::percent_decode_str;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    client::ClientAddr,
    failure::{Answer, Failure},
    pool::Turn,
    state::App,
};

/// The user of the request's session, by `Authorization: Bearer TOKEN`.
pub(super) struct LoggedIn(pub(super) Caller);

impl FromRequestParts<App> for LoggedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Answer<Self> {
        let caller = caller(parts, app).await?;
        parts.extensions.insert(Checked { caller: caller.clone(), is_operator: false });
        Ok(Self(caller))
    }
}

/// Who may make this call, as its head says. What comes after the head may take long.
#[derive(Clone)]
struct Checked {
    caller: Caller,
    is_operator: bool,
}

impl Checked {
    /// Whether it is still so.
    async fn again(self, parts: &Parts, app: &App) -> Answer<()> {
        let now = caller(parts, app).await?;
        if now.user != self.caller.user {
            return Err(IndexError::NotLoggedIn.into());
        }
        if self.is_operator {
            app.index.operator(now)?;
        }
        Ok(())
    }
}

async fn caller(parts: &Parts, app: &App) -> Answer<Caller> {
    let token = bearer(&parts.headers).ok_or(IndexError::NotLoggedIn)?;
    Ok(app.index.caller(&token).await?)
}

/// The operator whose session the request has. Before any other part of the request: what else is wrong with it is told
/// to operators only.
pub(super) struct AsOperator(pub(super) Operator);

impl FromRequestParts<App> for AsOperator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Answer<Self> {
        let LoggedIn(caller) = LoggedIn::from_request_parts(parts, app).await?;
        let operator = app.index.operator(caller.clone())?;
        parts.extensions.insert(Checked { caller, is_operator: true });
        Ok(Self(operator))
    }
}

/// A token that cannot be one is treated as one that is unknown.
fn bearer(headers: &HeaderMap) -> Option<SessionToken> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    token.trim().parse().ok()
}

/// Parts of the path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Answer<Self> {
        <AxumPath<T> as FromRequestParts<App>>::from_request_parts(parts, app)
            .await
            .map(|AxumPath(value)| Self(value))
            .map_err(|rejection| invalid("path", &rejection.body_text()))
    }
}

/// The query string. Bytes that are no UTF-8 are refused: the parser would put a sign in their place, and answer another
/// question than was asked.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Answer<Self> {
        let query = parts.uri.query().unwrap_or_default();
        if percent_decode_str(query).decode_utf8().is_err() {
            return Err(invalid("query", "Failed to deserialize query string: it is not UTF-8"));
        }
        AxumQuery::<T>::try_from_uri(&parts.uri)
            .map(|AxumQuery(value)| Self(value))
            .map_err(|rejection| invalid("query", &rejection.body_text()))
    }
}

/// A JSON body of the ordinary size, or as a response.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        json(request, app, app.options.max_body).await.map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The JSON body of a batch of catalog changes.
pub(super) struct PublishJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for PublishJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        json(request, app, app.options.max_publish_body).await.map(Self)
    }
}

/// The JSON body of a batch of contents.
pub(super) struct GrantsJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for GrantsJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        json(request, app, app.options.max_grants_body).await.map(Self)
    }
}

async fn json<T: DeserializeOwned>(request: Request, app: &App, max: usize) -> Answer<T> {
    let (mut parts, body) = request.into_parts();
    check_media_type(&parts.headers)?;
    let Ok(client) = ClientAddr::from_request_parts(&mut parts, app).await;
    let read = app.bodies.read(client, &parts.headers, body, max);
    let body = match parts.extensions.get::<Turn>() {
        Some(turn) => turn.while_waiting_for(read).await??,
        None => read.await?,
    };
    // The session may have ended, or the right, while the body was held back.
    if let Some(checked) = parts.extensions.get::<Checked>().cloned() {
        checked.again(&parts, app).await?;
    }
    // A list of an object's fields without their names would be taken for the object.
    if body.bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte == b'[')
    {
        return Err(invalid(
            "body",
            "Failed to deserialize the JSON body: a list, expected an object",
        ));
    }
    axum::Json::<T>::from_bytes(&body.bytes)
        .map(|axum::Json(value)| value)
        .map_err(|rejection| invalid("body", &rejection.body_text()))
}

/// Compressed bodies are not taken: a small one could become a huge one.
fn check_media_type(headers: &HeaderMap) -> Answer<()> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Failure::new(
            ProblemKind::UnsupportedMediaType,
            "bodies with a content encoding are not taken",
        )
        .hint("send the body uncompressed, without Content-Encoding"));
    }
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
    if is_json {
        return Ok(());
    }
    Err(Failure::new(
        ProblemKind::UnsupportedMediaType,
        "the request has no Content-Type, or another than application/json",
    )
    .hint("send `Content-Type: application/json`"))
}

/// Longest part of a parser's message that is passed on: it can quote what the client sent.
const MAX_MESSAGE_CHARS: usize = 300;

fn invalid(what: &str, message: &str) -> Failure {
    let shown = p2pshare_core::text::visible(message).to_string();
    let mut detail: String = shown.chars().take(MAX_MESSAGE_CHARS).collect();
    if detail.len() < shown.len() {
        detail.push('…');
    }
    Failure::new(ProblemKind::InvalidRequest, detail)
        .hint(format!("correct the {what}: /openapi.json says what it can be"))
}
