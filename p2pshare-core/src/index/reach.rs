//! For whom the index found a content, in the words that peers compare.

use super::{
    Caller, Index,
    model::{GroupRecord, Viewer},
    store::StoreResult,
};
use crate::{
    api::Group,
    identity::{GroupName, GroupsId, Reach},
};

/// Makes the hashes here differ from all others.
const CONTEXT: &str = "p2pshare 2026-11 reach of groups";

/// A caller with the groups that they are in, as they were read at one moment.
pub(super) struct Sight {
    pub(super) viewer: Viewer,
    /// In order of name.
    groups: Vec<GroupRecord>,
}

impl Sight {
    /// The reach of what is for those who are in all of `groups`; `None` if the caller is not. The order of `groups`
    /// makes no difference.
    pub(super) fn reach(&self, groups: &[GroupName]) -> Option<Reach> {
        if groups.is_empty() {
            return Some(Reach::Everyone);
        }
        let is_meant = |group: &&GroupRecord| groups.contains(&group.name);
        let meant: Vec<_> = self.groups.iter().filter(is_meant).collect();
        let all = groups.iter().all(|name| meant.iter().any(|group| group.name == *name));
        all.then(|| Reach::Groups(id_of(&meant)))
    }
}

/// The id of a set of groups, in order of name. When a group was made tells it from one that had its name before: its
/// members' files are not for those who are in the new one.
fn id_of(groups: &[&GroupRecord]) -> GroupsId {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    for group in groups {
        hasher.update(group.name.as_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(&group.created_at.as_millis().to_le_bytes());
    }
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    GroupsId::from_bytes(id)
}

impl From<GroupRecord> for Group {
    fn from(record: GroupRecord) -> Self {
        let reach = Reach::Groups(id_of(&[&record]));
        Self { name: record.name, owner: record.owner, created_at: record.created_at, reach }
    }
}

impl Index {
    /// What the caller is in at this moment.
    pub(super) async fn sight(&self, caller: &Caller) -> StoreResult<Sight> {
        let groups = self.store().groups_of(&caller.user).await?;
        let viewer = Viewer {
            user: caller.user.clone(),
            groups: groups.iter().map(|group| group.name.clone()).collect(),
        };
        Ok(Sight { viewer, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn name(text: &str) -> GroupName {
        text.parse().unwrap()
    }

    fn sight(groups: &[(&str, i64)]) -> Sight {
        let groups: Vec<_> = groups
            .iter()
            .map(|(group, made)| GroupRecord {
                name: name(group),
                owner: "alice".parse().unwrap(),
                created_at: Timestamp::from_millis(*made),
            })
            .collect();
        let viewer = Viewer {
            user: "bob".parse().unwrap(),
            groups: groups.iter().map(|group| group.name.clone()).collect(),
        };
        Sight { viewer, groups }
    }

    #[test]
    fn a_set_of_groups_has_one_reach_for_all_of_its_members() {
        let few = sight(&[("a", 1), ("b", 2)]);
        let many = sight(&[("a", 1), ("ab", 5), ("b", 2), ("c", 1)]);
        for groups in [vec![], vec![name("a")], vec![name("b")], vec![name("a"), name("b")]] {
            assert_eq!(few.reach(&groups), many.reach(&groups), "{groups:?}");
        }
        let turned = [name("b"), name("a")];
        assert_eq!(few.reach(&turned), few.reach(&[name("a"), name("b")]));
        assert_eq!(few.reach(&[]), Some(Reach::Everyone));
    }

    #[test]
    fn other_sets_have_other_reaches() {
        let all = sight(&[("a", 1), ("ab", 5), ("b", 2)]);
        let sets: [&[&str]; 6] = [&[], &["a"], &["b"], &["ab"], &["a", "b"], &["a", "ab", "b"]];
        let reach = |set: &[&str]| {
            let groups: Vec<_> = set.iter().copied().map(name).collect();
            all.reach(&groups).unwrap()
        };
        for (at, one) in sets.iter().enumerate() {
            for other in &sets[at + 1..] {
                assert_ne!(reach(one), reach(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn who_is_not_in_all_of_them_has_none() {
        let sight = sight(&[("a", 1)]);
        assert_eq!(sight.reach(&[name("b")]), None);
        assert_eq!(sight.reach(&[name("a"), name("b")]), None);
    }

    #[test]
    fn a_group_of_an_old_name_is_another() {
        let (old, new) = (sight(&[("a", 1)]), sight(&[("a", 2)]));
        assert_ne!(old.reach(&[name("a")]), new.reach(&[name("a")]));
    }
}
