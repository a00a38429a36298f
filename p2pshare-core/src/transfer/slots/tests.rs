use futures::FutureExt;
use proptest::prelude::*;

use super::*;

fn slots(slots: usize, max_waiting: usize) -> UploadSlots {
    UploadSlots::new(NonZeroUsize::new(slots).unwrap(), max_waiting)
}

fn user(name: &str) -> Username {
    Username::parse(name).unwrap()
}

/// What the request is told without waiting.
fn poll(request: &mut SlotRequest) -> Option<Result<Turn, TransferError>> {
    request.next().now_or_never()
}

/// The last place that it was told, without waiting.
fn position(request: &mut SlotRequest) -> Option<u32> {
    match poll(request) {
        Some(Ok(Turn::Queued { position })) => Some(position),
        None => None,
        other => panic!("{other:?}"),
    }
}

fn granted(request: &mut SlotRequest) -> UploadSlot {
    match poll(request) {
        Some(Ok(Turn::Granted(slot))) => slot,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_free_slot_is_given_at_once_and_only_once() {
    let slots = slots(1, 4);
    let mut request = slots.acquire(user("a")).unwrap();
    let slot = granted(&mut request);
    assert!(poll(&mut request).is_none());
    drop(request);
    assert_eq!(slots.usage(), (1, 0));
    drop(slot);
    assert_eq!(slots.usage(), (0, 0));
}

#[tokio::test]
async fn users_take_turns() {
    let slots = slots(1, 100);
    let mut running = Some(granted(&mut slots.acquire(user("greedy")).unwrap()));
    let names = ["greedy", "greedy", "greedy", "b", "b", "c"];
    let mut requests: Vec<_> =
        names.iter().map(|name| (*name, slots.acquire(user(name)).unwrap())).collect();
    let positions: Vec<_> = requests.iter_mut().map(|(_, r)| position(r)).collect();
    assert_eq!(positions, [1, 4, 6, 2, 5, 3].map(Some));
    let mut order = Vec::new();
    while !requests.is_empty() {
        running.take();
        requests.retain_mut(|(name, request)| match poll(request) {
            Some(Ok(Turn::Granted(slot))) => {
                order.push(*name);
                running = Some(slot);
                false
            }
            _ => true,
        });
    }
    assert_eq!(order, ["greedy", "b", "c", "greedy", "b", "greedy"]);
}

#[tokio::test]
async fn who_asks_ahead_gets_no_second_slot_while_another_has_none() {
    let slots = slots(2, 100);
    let a = granted(&mut slots.acquire(user("a")).unwrap());
    let _b = granted(&mut slots.acquire(user("b")).unwrap());
    let mut next_of_b = slots.acquire(user("b")).unwrap();
    let mut next_of_a = slots.acquire(user("a")).unwrap();
    let mut c = slots.acquire(user("c")).unwrap();
    // He has none now, and has waited for longer than c.
    drop(a);
    let a = granted(&mut next_of_a);
    drop(a);
    let c = granted(&mut c);
    assert!(position(&mut next_of_b).is_some());
    // Nobody else wants it.
    let mut d = slots.acquire(user("d")).unwrap();
    drop(c);
    let d = granted(&mut d);
    drop(d);
    granted(&mut next_of_b);
}

#[tokio::test]
async fn places_are_told_when_they_change() {
    let slots = slots(1, 4);
    let slot = granted(&mut slots.acquire(user("a")).unwrap());
    let first = slots.acquire(user("b")).unwrap();
    let mut second = slots.acquire(user("c")).unwrap();
    assert_eq!(position(&mut second), Some(2));
    assert_eq!(position(&mut second), None);
    drop(first);
    assert_eq!(position(&mut second), Some(1));
    drop(slot);
    granted(&mut second);
}

/// One who joins and leaves all the time must not wake everybody else each time.
#[tokio::test(start_paused = true)]
async fn in_a_long_queue_places_are_told_from_time_to_time() {
    let slots = slots(1, 4_096);
    let _slot = granted(&mut slots.acquire(user("a")).unwrap());
    let mut before: Vec<_> = (0..300).map(|_| slots.acquire(user("greedy")).unwrap()).collect();
    let mut last = before.pop().unwrap();
    // Its own place it is told at once.
    assert_eq!(position(&mut last), Some(300));
    let mut one = slots.acquire(user("b")).unwrap();
    assert_eq!(position(&mut one), Some(2));
    for _ in 0..40 {
        drop(before.pop());
        drop(before.remove(0));
        drop(slots.acquire(user("greedy")).unwrap());
        assert_eq!(position(&mut last), None);
    }
    // Whoever waits is told, though nobody joins or leaves any more.
    let told = tokio::time::timeout(TELL_EVERY * 2, last.next()).await.unwrap();
    assert!(matches!(told, Ok(Turn::Queued { position: 221 })), "{told:?}");
}

#[tokio::test]
async fn a_full_queue_refuses_but_nobody_can_fill_it_alone() {
    let slots = slots(1, 2);
    let _slot = granted(&mut slots.acquire(user("greedy")).unwrap());
    let mut first = slots.acquire(user("greedy")).unwrap();
    let mut second = slots.acquire(user("greedy")).unwrap();
    assert!(slots.acquire(user("greedy")).is_err());
    let mut modest = slots.acquire(user("modest")).unwrap();
    assert!(matches!(poll(&mut second), Some(Err(TransferError::Unavailable(_)))));
    drop(second);
    assert_eq!(position(&mut first), Some(1));
    assert_eq!(position(&mut modest), Some(2));
    assert!(slots.acquire(user("third")).is_err());
    assert_eq!(slots.usage(), (1, 2));
}

#[tokio::test]
async fn a_slot_that_nobody_was_told_of_goes_to_the_next() {
    let slots = slots(1, 4);
    let slot = granted(&mut slots.acquire(user("a")).unwrap());
    let first = slots.acquire(user("b")).unwrap();
    let mut second = slots.acquire(user("c")).unwrap();
    drop(slot);
    drop(first);
    granted(&mut second);
}

#[tokio::test]
async fn a_stream_has_a_slot_for_as_long_as_it_lives() {
    let slots = slots(1, 4);
    let start = || async { Ok(stream::pending().boxed()) };
    let mut first = slots.run(user("a"), start).unwrap();
    assert!(first.next().now_or_never().is_none());
    let mut second = slots.run(user("b"), || async { Ok(stream::empty().boxed()) });
    let second = second.as_mut().unwrap();
    assert_eq!(second.next().await.unwrap().unwrap(), FetchEvent::Queued { position: 1 });
    assert!(second.next().now_or_never().is_none());
    drop(first);
    assert!(second.next().await.is_none());
    assert_eq!(slots.usage(), (0, 0));
}

#[tokio::test]
async fn a_waiter_is_woken() {
    let slots = slots(1, 4);
    let slot = slots.acquire(user("a")).unwrap().granted().await.unwrap();
    let waiter = tokio::spawn(slots.acquire(user("b")).unwrap().granted());
    tokio::task::yield_now().await;
    drop(slot);
    waiter.await.unwrap().unwrap();
}

#[derive(Debug, Clone)]
enum Step {
    Acquire(u8),
    DropRequest(prop::sample::Index),
    DropSlot(prop::sample::Index),
    Poll(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4_u8).prop_map(Step::Acquire),
        1 => any::<prop::sample::Index>().prop_map(Step::DropRequest),
        2 => any::<prop::sample::Index>().prop_map(Step::DropSlot),
        3 => any::<prop::sample::Index>().prop_map(Step::Poll),
    ]
}

proptest! {
    #[test]
    fn no_slot_is_lost_whatever_is_dropped(
        count in 1..4_usize,
        max_waiting in 0..6_usize,
        reserve in 0..3_usize,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let slots = slots(count, max_waiting);
        slots.reserve(vec![reserved(&["0"], reserve)]);
        let mut requests: Vec<SlotRequest> = Vec::new();
        let mut held = Vec::new();
        for step in steps {
            match step {
                Step::Acquire(name) => requests.extend(slots.acquire(user(&name.to_string()))),
                Step::DropRequest(index) if !requests.is_empty() => {
                    requests.swap_remove(index.index(requests.len()));
                }
                Step::DropSlot(index) if !held.is_empty() => {
                    held.swap_remove(index.index(held.len()));
                }
                Step::Poll(index) if !requests.is_empty() => {
                    let index = index.index(requests.len());
                    match poll(&mut requests[index]) {
                        Some(Ok(Turn::Granted(slot))) => {
                            held.push(slot);
                            requests.swap_remove(index);
                        }
                        Some(Err(_)) => drop(requests.swap_remove(index)),
                        _ => {}
                    }
                }
                _ => {}
            }
            let (running, waiting) = slots.usage();
            prop_assert!(running <= count + reserve && waiting <= max_waiting);
            prop_assert!(waiting == 0 || running >= count, "a slot lies idle");
            let waits = |request: &SlotRequest| {
                matches!(*request.place.borrow(), Place::Waiting(_)) && request.user == user("0")
            };
            let all_taken = running == count + reserve;
            prop_assert!(all_taken || !requests.iter().any(waits), "a reserved slot lies idle");
            let mut places: Vec<_> = requests
                .iter()
                .filter_map(|request| match *request.place.borrow() {
                    Place::Waiting(position) => Some(position as usize),
                    _ => None,
                })
                .collect();
            places.sort_unstable();
            prop_assert!(places.into_iter().eq(1..=waiting));
        }
        drop(requests);
        drop(held);
        prop_assert_eq!(slots.usage(), (0, 0));
    }
}

#[tokio::test]
async fn slots_come_and_go_while_uploads_run() {
    let slots = slots(1, 100);
    let a = granted(&mut slots.acquire(user("a")).unwrap());
    let mut waiting: Vec<_> =
        ["b", "c", "d"].iter().map(|name| slots.acquire(user(name)).unwrap()).collect();
    let places: Vec<_> = waiting.iter_mut().map(position).collect();
    assert_eq!(places, [1, 2, 3].map(Some));
    slots.resize(NonZeroUsize::new(3).unwrap());
    let (b, c) = (granted(&mut waiting[0]), granted(&mut waiting[1]));
    assert_eq!((slots.usage(), position(&mut waiting[2])), ((3, 1), Some(1)));
    slots.resize(NonZeroUsize::MIN);
    drop((a, b));
    assert!(poll(&mut waiting[2]).is_none(), "those that run are more than the slots");
    drop(c);
    let _d = granted(&mut waiting[2]);
    assert_eq!(slots.usage(), (1, 0));
}

/// Uploads of a user that give nothing, and end when their slot is taken back.
fn slow(slots: &UploadSlots, name: &str, count: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let streams = (0..count).map(|_| {
        let start = || async { Ok(stream::pending().boxed()) };
        let mut stream = slots.run(user(name), start).unwrap();
        assert!(stream.next().now_or_never().is_none(), "it has a slot");
        tokio::spawn(async move {
            let end = stream.next().await;
            assert!(matches!(end, Some(Err(TransferError::Unavailable(_)))), "{end:?}");
            assert!(stream.next().await.is_none());
        })
    });
    streams.collect()
}

#[tokio::test(start_paused = true)]
async fn who_has_all_slots_gives_back_those_beside_his_first() {
    let slots = slots(3, 10);
    let greedy = slow(&slots, "greedy", 3);
    let mut held = Vec::new();
    for name in ["b", "c"] {
        let begun = Instant::now();
        held.push(slots.acquire(user(name)).unwrap().granted().await.unwrap());
        assert!((PATIENCE..PATIENCE * 2).contains(&begun.elapsed()));
    }
    let ended: Vec<_> = greedy.iter().map(|task| task.is_finished()).collect();
    assert_eq!(ended, [false, true, true], "the last are given back first");

    // Nobody has two now, and who has one himself takes none from others.
    let waiting = slots.acquire(user("d")).unwrap().granted();
    let _ = tokio::time::timeout(PATIENCE * 10, waiting).await.unwrap_err();
    held.clear();
    held.push(slots.acquire(user("b")).unwrap().granted().await.unwrap());
    held.push(slots.acquire(user("c")).unwrap().granted().await.unwrap());
    let second = slots.acquire(user("b")).unwrap().granted();
    let _ = tokio::time::timeout(PATIENCE * 10, second).await.unwrap_err();
    assert_eq!(slots.usage(), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn one_slot_is_taken_back_for_each_who_waits() {
    let slots = slots(4, 100);
    let greedy = slow(&slots, "greedy", 4);
    let waiting: Vec<_> = (0..2)
        .map(|number| slots.acquire(user(&format!("u{number}"))).unwrap().granted())
        .collect();
    let _held = futures::future::try_join_all(waiting).await.unwrap();
    assert_eq!(greedy.iter().filter(|task| task.is_finished()).count(), 2);
}

fn reserved(names: &[&str], slots: usize) -> ReservedSlots {
    ReservedSlots { users: names.iter().map(|name| user(name)).collect(), slots }
}

#[tokio::test]
async fn reserved_slots_are_for_their_users_alone() {
    let slots = slots(1, 100);
    slots.reserve(vec![reserved(&["vip", "boss"], 1)]);
    assert_eq!(slots.capacity(), 2);
    let vip = granted(&mut slots.acquire(user("vip")).unwrap());
    let common = granted(&mut slots.acquire(user("boss")).unwrap());
    let mut a = slots.acquire(user("a")).unwrap();
    let mut next_vip = slots.acquire(user("vip")).unwrap();
    assert_eq!((position(&mut a), position(&mut next_vip)), (Some(1), Some(2)));
    // The boss moves into the reserved one, so that nobody waits for him to end.
    drop(vip);
    let _a = granted(&mut a);
    assert_eq!(position(&mut next_vip), Some(1));
    drop(common);
    let next_vip = granted(&mut next_vip);
    let mut b = slots.acquire(user("b")).unwrap();
    assert_eq!(position(&mut b), Some(1));

    // What runs goes on, and counts as what it is now.
    slots.reserve(vec![]);
    assert_eq!((slots.capacity(), slots.usage()), (1, (2, 1)));
    drop(next_vip);
    assert!(poll(&mut b).is_none());
    slots.reserve(vec![reserved(&["b"], 1)]);
    granted(&mut b);
}

#[tokio::test(start_paused = true)]
async fn reserved_slots_are_not_taken_back_for_others() {
    let slots = slots(1, 100);
    slots.reserve(vec![reserved(&["vip"], 2)]);
    let vip = slow(&slots, "vip", 3);
    let _a = slots.acquire(user("a")).unwrap().granted().await.unwrap();
    let ended: Vec<_> = vip.iter().map(|task| task.is_finished()).collect();
    assert_eq!(ended, [false, false, true], "his slot of those for everybody");
    let waiting = slots.acquire(user("b")).unwrap().granted();
    let _ = tokio::time::timeout(PATIENCE * 10, waiting).await.unwrap_err();
}
