//! Asking both stores everything.

use std::collections::BTreeSet;

use super::{
    Disagreement,
    pair::{Pair, ask},
    strategy::{CODES, CONTENTS, END, GROUPS, PEERS, USERS},
};
use crate::{
    api::{FileListing, Kind, UserFile},
    identity::Username,
    index::{
        model::{LocateRequest, OverviewRequest, Viewer},
        search::{Filter, Search},
    },
    testing::store::fixture::{
        SORTS, at, content, group, invite_hash, path, peer_id, search, token, user,
    },
    time::Timestamp,
};

const QUERIES: [&str; 11] =
    ["", "so", "song", "a b", "a -b", "-flac", "mp3", "SÖNG 2", "歌", "song -song2 -tar", "s x"];
/// Every folder of the histories' paths, a file, and something that is never there.
const FOLDERS: [&str; 6] = ["a", "a b", "a/b", "a/b/songs 2", "song", "none"];

impl Pair<'_> {
    /// Asks both stores every question and compares the answers.
    pub(super) async fn look(&self) -> Result<(), Disagreement> {
        self.look_at_accounts().await?;
        self.look_at_peers().await?;
        self.look_at_groups_and_invites().await?;
        for viewer in self.viewers().await? {
            self.look_at_contents(&viewer).await?;
            self.look_at_searches(&viewer).await?;
            for owner in USERS {
                self.look_at_files(&viewer, &user(owner)).await?;
            }
        }
        Ok(())
    }

    /// Every user in the groups that they are in, and a stranger who is in one.
    async fn viewers(&self) -> Result<Vec<Viewer>, Disagreement> {
        let mut viewers = vec![Viewer {
            user: user("stranger"),
            groups: vec![group(GROUPS[self.steps % GROUPS.len()])],
        }];
        for name in USERS {
            let groups = ask!(self, groups_of(&user(name)))?;
            viewers.push(Viewer {
                user: user(name),
                groups: groups.into_iter().map(|group| group.name).collect(),
            });
        }
        Ok(viewers)
    }

    async fn look_at_accounts(&self) -> Result<(), Disagreement> {
        for after in [None, Some(user("b-e"))] {
            ask!(self, users(after.as_ref(), 2))?;
            let request = OverviewRequest {
                prefix: String::new(),
                after,
                limit: 9,
                now: self.now(),
                online_since: self.now(),
            };
            ask!(self, overviews(&request))?;
        }
        for name in USERS {
            ask!(self, user(&user(name)))?;
            ask!(self, peers_of(&user(name)))?;
            ask!(self, invites_by(&user(name)))?;
            ask!(self, sessions_of(&user(name)))?;
            ask!(self, count_user_entries(&user(name)))?;
        }
        for number in 1..=CODES {
            ask!(self, session(&token(number), at(0)))?;
            ask!(self, session(&token(number), self.now()))?;
        }
        ask!(self, counts(at(0), at(0)))?;
        ask!(self, counts(self.now(), self.now()))?;
        Ok(())
    }

    async fn look_at_peers(&self) -> Result<(), Disagreement> {
        for number in 1..=PEERS {
            let id = peer_id(number);
            ask!(self, peer(&id))?;
            ask!(self, count_entries(&id))?;
            ask!(self, partial_sources_of(&id))?;
            let some = BTreeSet::from(["a b", "a/b", "song"].map(path));
            for owner in USERS {
                ask!(self, count_known_paths(&user(owner), &id, &some))?;
            }
            for (after, limit) in [(None, 100), (Some(&path("a b")), 2)] {
                ask!(self, entries(&id, after, limit))?;
                ask!(self, dated_entries(&id, after, limit))?;
            }
        }
        Ok(())
    }

    async fn look_at_groups_and_invites(&self) -> Result<(), Disagreement> {
        for name in GROUPS {
            ask!(self, group(&group(name)))?;
            ask!(self, members(&group(name)))?;
        }
        for number in 1..=CODES {
            ask!(self, invite(&invite_hash(number)))?;
        }
        let mut after = None;
        loop {
            let page = ask!(self, good_invites(self.now(), after, 2))?;
            after = page.last().map(|last| (last.expires_at, last.hash));
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn look_at_contents(&self, viewer: &Viewer) -> Result<(), Disagreement> {
        for number in 1..=CONTENTS {
            ask!(self, content(viewer, &content(number), self.now(), 9))?;
        }
        for (limit, pivot) in [(9, 0), (2, 3)] {
            let request = LocateRequest {
                contents: (0..=CONTENTS).rev().map(content).collect(),
                online_since: self.now(),
                now: self.now(),
                limit,
                pivot: peer_id(pivot),
            };
            ask!(self, locate(viewer, &request))?;
        }
        Ok(())
    }

    async fn look_at_searches(&self, viewer: &Viewer) -> Result<(), Disagreement> {
        let filters = filters();
        for (number, sort) in SORTS.into_iter().enumerate() {
            // Other queries and filters meet each time.
            let turn = self.steps + number;
            let whole = Search {
                filter: filters[turn % filters.len()].clone(),
                sort,
                online_since: self.now(),
                ..search(QUERIES[turn % QUERIES.len()])
            };
            ask!(self, search(viewer, &whole))?;
            let mut page = Search { limit: 2, ..whole };
            loop {
                page.after = ask!(self, search(viewer, &page))?.next;
                if page.after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn look_at_files(&self, viewer: &Viewer, owner: &Username) -> Result<(), Disagreement> {
        let folders = FOLDERS.map(|text| Some(path(text)));
        for folder in folders.iter().chain([&None]) {
            let folder = folder.as_ref();
            let mut after: Option<UserFile> = None;
            loop {
                let page = ask!(self, user_files(viewer, owner, folder, after.as_ref(), 3))?;
                after = page.last().cloned();
                if after.is_none() {
                    break;
                }
            }
            let mut after: Option<FileListing> = None;
            loop {
                let page = ask!(self, user_folder(viewer, owner, folder, after.as_ref(), 2))?;
                after = page.last().cloned();
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A time that is another at each look.
    fn now(&self) -> Timestamp {
        at(i64::try_from(self.steps).unwrap_or(0) * 5 % END)
    }
}

fn filters() -> Vec<Filter> {
    let none = Filter::default;
    vec![
        none(),
        Filter { extensions: vec!["mp3".to_owned(), "flac".to_owned()], ..none() },
        none(),
        Filter { kind: Some(Kind::Audio), max_size: Some(10), ..none() },
        Filter { kind: Some(Kind::Other), ..none() },
        Filter { min_size: Some(11), ..none() },
        Filter { owner: Some(user("bea")), ..none() },
        Filter { since: Some(at(END / 2)), ..none() },
        Filter { since: Some(at(END - 3)), ..none() },
    ]
}
