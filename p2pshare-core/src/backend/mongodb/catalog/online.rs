//! Which peers are online, looked up once for each question.

use std::collections::HashMap;

use mongodb::bson::doc;
use serde::Deserialize;

use crate::{
    backend::mongodb::{
        database::{MongoResult, Reading},
        documents::Bytes32,
    },
    time::Timestamp,
};

/// Peers in one question to the server.
const PEERS: usize = 5000;

pub(super) struct Online {
    since: i64,
    known: HashMap<Bytes32, bool>,
}

#[derive(Deserialize)]
struct Id {
    #[serde(rename = "_id")]
    id: Bytes32,
}

impl Online {
    pub(super) fn new(since: Timestamp) -> Self {
        Self { since: since.as_millis(), known: HashMap::new() }
    }

    /// Looks up those of these peers that are not known yet.
    pub(super) async fn look_up(
        &mut self,
        reading: &mut Reading<'_>,
        peers: impl IntoIterator<Item = Bytes32>,
    ) -> MongoResult<()> {
        let mut unknown = Vec::new();
        for peer in peers {
            self.known.entry(peer).or_insert_with(|| {
                unknown.push(peer);
                false
            });
        }
        for some in unknown.chunks(PEERS) {
            let online = doc! { "_id": { "$in": some }, "last_seen": { "$gte": self.since } };
            let find = reading.database.peers.find(online).projection(doc! { "_id": 1 });
            let mut found = find.session(&mut reading.session).await?.with_type::<Id>();
            while found.advance(&mut reading.session).await? {
                self.known.insert(found.deserialize_current()?.id, true);
            }
        }
        Ok(())
    }

    /// Of a peer that was looked up.
    pub(super) fn is_online(&self, peer: &Bytes32) -> bool {
        self.known.get(peer).copied().unwrap_or(false)
    }
}
