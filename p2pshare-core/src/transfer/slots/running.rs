//! Who has a slot, and of which kind.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio_util::sync::CancellationToken;

use crate::identity::Username;

/// Slots that only some users get, besides those for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReservedSlots {
    /// Who gets them.
    pub users: HashSet<Username>,
    /// How many there are for all of them together.
    pub slots: usize,
}

/// The slots, and those that are taken.
#[derive(Debug)]
pub(super) struct Running {
    common: Kind,
    reserved: Vec<(ReservedSlots, usize)>,
    /// By the number of the request: who has had his slot for longer comes first, more or less.
    held: BTreeMap<u64, Held>,
    /// How many slots are whose.
    counts: HashMap<Username, usize>,
}

#[derive(Debug)]
struct Kind {
    slots: usize,
    taken: usize,
}

#[derive(Debug)]
struct Held {
    user: Username,
    /// Which of the reserved ones it is of, `None`: of those for everybody.
    kind: Option<usize>,
    revoked: CancellationToken,
}

impl Running {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            common: Kind { slots, taken: 0 },
            reserved: Vec::new(),
            held: BTreeMap::new(),
            counts: HashMap::new(),
        }
    }

    /// How many are taken.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// How many there are.
    pub(super) fn capacity(&self) -> usize {
        self.reserved
            .iter()
            .fold(self.common.slots, |sum, (kind, _)| sum.saturating_add(kind.slots))
    }

    /// How many a user has.
    pub(super) fn of(&self, user: &Username) -> usize {
        self.counts.get(user).copied().unwrap_or(0)
    }

    /// From now on there are so many for everybody. Those that are taken stay so.
    pub(super) fn resize(&mut self, slots: usize) {
        self.common.slots = slots;
    }

    /// From now on these are reserved. Those that are taken stay so, and count as what their users may have now.
    pub(super) fn reserve(&mut self, reserved: Vec<ReservedSlots>) {
        self.reserved = reserved.into_iter().map(|kind| (kind, 0)).collect();
        self.common.taken = 0;
        for held in self.held.values_mut() {
            held.kind = free_kind(&self.reserved, &held.user);
            *taken(&mut self.common, &mut self.reserved, held.kind) += 1;
        }
    }

    /// Whether there is a free slot that this user may have.
    pub(super) fn has_room(&self, user: &Username) -> bool {
        self.common.taken < self.common.slots || free_kind(&self.reserved, user).is_some()
    }

    /// Gives a user a slot: one of those that are reserved for him, if there is one.
    pub(super) fn take(&mut self, id: u64, user: &Username) {
        let kind = free_kind(&self.reserved, user);
        *taken(&mut self.common, &mut self.reserved, kind) += 1;
        *self.counts.entry(user.clone()).or_default() += 1;
        let held = Held { user: user.clone(), kind, revoked: CancellationToken::new() };
        self.held.insert(id, held);
    }

    /// Frees the slot of a request.
    pub(super) fn free(&mut self, id: u64) {
        let Some(Held { user, kind, .. }) = self.held.remove(&id) else {
            return;
        };
        *taken(&mut self.common, &mut self.reserved, kind) -= 1;
        if let Some(at) = kind {
            self.move_into(at);
        }
        if let Some(count) = self.counts.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&user);
            }
        }
    }

    /// Has somebody for whom a slot is reserved give up that of everybody.
    fn move_into(&mut self, at: usize) {
        let Some((kind, taken)) =
            self.reserved.get_mut(at).filter(|(kind, taken)| *taken < kind.slots)
        else {
            return;
        };
        let mut common = self.held.values_mut().filter(|held| held.kind.is_none());
        if let Some(held) = common.find(|held| kind.users.contains(&held.user)) {
            held.kind = Some(at);
            *taken += 1;
            self.common.taken -= 1;
        }
    }

    /// What tells the holder of a slot that it is taken back.
    pub(super) fn revoked(&self, id: u64) -> CancellationToken {
        self.held.get(&id).map(|held| held.revoked.clone()).unwrap_or_default()
    }

    /// Takes a slot back for a user who has none, from the one who has the most, if that is more than one: the last that
    /// he got. Does nothing while as many are being given back as users wait without any.
    pub(super) fn revoke_for(&self, user: &Username, waiting: usize) {
        if self.of(user) > 0 {
            return;
        }
        let may_have = |kind: Option<usize>| {
            let reserved = kind.and_then(|at| self.reserved.get(at));
            reserved.is_none_or(|(kind, _)| kind.users.contains(user))
        };
        let (revoked, kept): (Vec<_>, Vec<_>) =
            self.held.values().partition(|held| held.revoked.is_cancelled());
        if revoked.iter().filter(|held| may_have(held.kind)).count() >= waiting {
            return;
        }
        let mut left: HashMap<&Username, usize> = HashMap::new();
        for held in &kept {
            *left.entry(&held.user).or_default() += 1;
        }
        let left_of = |held: &Held| left.get(&held.user).copied().unwrap_or(0);
        let usable = kept.into_iter().filter(|held| may_have(held.kind) && left_of(held) > 1);
        // The last of several that are equal.
        if let Some(held) = usable.max_by_key(|held| left_of(held)) {
            held.revoked.cancel();
        }
    }
}

/// Reserved slots of which this user may have one now.
fn free_kind(reserved: &[(ReservedSlots, usize)], user: &Username) -> Option<usize> {
    reserved.iter().position(|(kind, taken)| *taken < kind.slots && kind.users.contains(user))
}

fn taken<'a>(
    common: &'a mut Kind,
    reserved: &'a mut [(ReservedSlots, usize)],
    kind: Option<usize>,
) -> &'a mut usize {
    match kind.and_then(|at| reserved.get_mut(at)) {
        Some((_, taken)) => taken,
        None => &mut common.taken,
    }
}
