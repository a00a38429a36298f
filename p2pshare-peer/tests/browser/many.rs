//! Ten thousand of something, without ten thousand commands.

use std::{path::Path, sync::Arc, time::Duration};

use p2pshare_core::{
    api::{CatalogChange, Entry, Login, PublishRequest, Register, Visibility},
    auth::Password,
    content::ContentId,
    identity::{PeerKey, Username},
};
use p2pshare_peer::{
    account::SavedSession,
    index_client::{IndexClient, IndexUrl},
    index_keys::IndexKeys,
    publish::OwnPeer,
};
use rusqlite::Connection;

use super::support::{Index, PASSWORD};

/// Files in one request to the index.
const BATCH: u64 = 1000;

/// Has a new user offer so many songs, whose peer is there and has none of them.
pub(crate) async fn offer(index: &Index, user: &str, songs: u64) {
    let url: IndexUrl = index.url().parse().unwrap();
    let client = IndexClient::new(std::slice::from_ref(&url), Duration::from_secs(60)).unwrap();
    let username: Username = user.parse().unwrap();
    let password = || Password::new(PASSWORD.to_owned()).unwrap();
    let register = Register { username: username.clone(), password: password(), invite: None };
    client.register(&register).await.unwrap();
    let opened = client.log_in(&Login { username, password: password() }).await.unwrap();
    let keys = opened.index.public_keys.clone();
    let session = SavedSession::new(&[url], opened, keys);
    let client = client.with_session(session.token.clone());
    let key = Arc::new(PeerKey::generate().unwrap());
    let keys = IndexKeys::new(&session, None);
    let peer = OwnPeer::new(client.clone(), session.username.clone(), keys, key);
    peer.announce(vec!["tcp://127.0.0.1:9".parse().unwrap()]).await.unwrap();
    for begin in (0..songs).step_by(BATCH as usize) {
        let song = |number: u64| {
            let path = format!("Songs/Album {}/{number:05} Song.flac", number / 12);
            CatalogChange::Publish(Entry {
                path: path.parse().unwrap(),
                content: ContentId::of(&number.to_le_bytes()),
                size: 20_000_000 + number,
                visibility: Visibility::Public,
            })
        };
        let changes = (begin..songs.min(begin + BATCH)).map(song).collect();
        client.publish(&peer.id(), &PublishRequest::new(changes)).await.unwrap();
    }
}

/// Puts copies of the only download of a peer behind it until its queue has so many, each of another content.
pub(crate) fn queue(data_dir: &Path, many: u64) {
    let queue = Connection::open(data_dir.join("downloads.sqlite")).unwrap();
    queue.busy_timeout(Duration::from_secs(60)).unwrap();
    let copy = "WITH RECURSIVE number(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM number WHERE i < ?1)
         INSERT INTO downloads (account, state, title, folder, overwrite, targets, created_at)
         SELECT account, 0, printf('%016x', i), folder, overwrite, printf('[\"%064x\"]', i), created_at
         FROM downloads, number WHERE id = 1";
    let added = queue.execute(copy, [i64::try_from(many).unwrap()]).unwrap();
    assert_eq!(added as u64, many - 1);
}
