//! Reading requests, so that whatever is wrong with one is answered with a problem document.

use axum::{
    extract::{FromRequest, FromRequestParts, Path as AxumPath, Query as AxumQuery, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use p2pshare_core::api::ProblemKind;
use percent_encoding::percent_decode_str;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    failure::{Answer, Failure},
    plain,
};

/// Longest JSON body in bytes.
const MAX_BODY: usize = 256 * 1024;

/// Parts of the path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        <AxumPath<T> as FromRequestParts<S>>::from_request_parts(parts, state)
            .await
            .map(|AxumPath(value)| Self(value))
            .map_err(|rejection| wrong("path", &plain::of_parts(&rejection.body_text())))
    }
}

/// The query string. Bytes that are no UTF-8 are refused: the parser would put a sign in their place.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let query = parts.uri.query().unwrap_or_default();
        if percent_decode_str(query).decode_utf8().is_err() {
            return Err(wrong("query", "it is not UTF-8"));
        }
        AxumQuery::<T>::try_from_uri(&parts.uri)
            .map(|AxumQuery(value)| Self(value))
            .map_err(|rejection| wrong("query", &plain::of_parts(&rejection.body_text())))
    }
}

/// A JSON body, or as a response.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Failure::new(
                ProblemKind::UnsupportedMediaType,
                "the body must be JSON, and its content type application/json",
            ));
        }
        let body =
            Limited::new(body, MAX_BODY).collect().await.map_err(|error| match error
                .downcast_ref::<LengthLimitError>(
            ) {
                Some(_) => Failure::new(
                    ProblemKind::TooLarge,
                    format!("the body is larger than {MAX_BODY} bytes"),
                ),
                None => Failure::invalid("the body ended early"),
            })?;
        plain::json(&body.to_bytes()).map(Self).map_err(|why| wrong("body", &why))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The same with the status that something was made, or will be.
pub(super) fn created<T: Serialize>(value: T) -> (StatusCode, Json<T>) {
    (StatusCode::CREATED, Json(value))
}

/// The same with the status that something goes on.
pub(super) fn accepted<T: Serialize>(value: T) -> (StatusCode, Json<T>) {
    (StatusCode::ACCEPTED, Json(value))
}

/// Whether the body is said to be JSON. A form of another page cannot say so without asking first.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    })
}

/// A part of a request that makes no sense.
pub(super) fn wrong(part: &str, why: &str) -> Failure {
    Failure::invalid(format!("the {part} is not valid: {why}"))
}
