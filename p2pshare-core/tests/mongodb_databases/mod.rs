//! Empty databases of a replica set, one after another.

use std::{cell::Cell, sync::Arc};

use mongodb::bson::doc;
use p2pshare_core::{
    backend::mongodb::{MongoStore, MongoUri},
    index::store::IndexStore,
    testing::mongod::ReplicaSet,
};

/// To make a database takes a second, so that they are used again. A write that was given up may still come when its
/// test has ended: there are several, so that it does not come into the next test.
const DATABASES: usize = 4;

/// Gives an empty store each time.
pub(crate) struct Databases {
    text: String,
    used: Cell<usize>,
}

impl Databases {
    pub(crate) fn of(set: &ReplicaSet) -> Self {
        Self { text: set.uri().to_owned(), used: Cell::new(0) }
    }

    /// The URI of a database.
    pub(crate) fn uri(&self, name: &str) -> MongoUri {
        let uri: MongoUri = self.text.parse().expect("scripts/mongod prints a URI");
        uri.with_database(name)
    }

    /// Its connections belong to the runtime that this is called on.
    pub(crate) async fn store(&self) -> Arc<dyn IndexStore> {
        let number = self.used.replace(self.used.get() + 1);
        let name = format!("test{}", number % DATABASES);
        if number >= DATABASES {
            let client = mongodb::Client::with_uri_str(&self.text).await.expect("the URI is good");
            empty(&client.database(&name)).await;
        }
        Arc::new(MongoStore::open(&self.uri(&name)).await.expect("a database opens"))
    }
}

async fn empty(database: &mongodb::Database) {
    let names = database.list_collection_names().await.expect("collections are listed");
    for name in names {
        let collection = database.collection::<mongodb::bson::Document>(&name);
        let all = doc! { "_id": { "$ne": "schema" } };
        collection.delete_many(all).await.expect("what is there can be deleted");
    }
}
