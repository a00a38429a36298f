//! The calls, one file for each group. A handler only translates.

mod accounts;
mod catalog;
mod grants;
mod groups;
mod health;
mod info;
mod invites;
mod operator;
mod peers;
mod sessions;

use utoipa_axum::router::OpenApiRouter;

use super::{openapi, state::App};

/// All calls with their description.
pub(super) fn all() -> OpenApiRouter<App> {
    let v1 = OpenApiRouter::new()
        .merge(info::routes())
        .merge(accounts::routes())
        .merge(sessions::routes())
        .merge(peers::routes())
        .merge(catalog::routes())
        .merge(grants::routes())
        .merge(groups::routes())
        .merge(invites::routes())
        .merge(operator::routes());
    OpenApiRouter::with_openapi(openapi::base()).nest("/v1", v1).merge(health::routes())
}
