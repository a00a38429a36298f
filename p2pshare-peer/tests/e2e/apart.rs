//! What is shared for fewer is apart from what is shared around it, wherever it is moved.

use serde_json::Value;

use crate::support::{Index, Page, Peer, b3sum, until};

/// Alice, bob who is in her group `staff`, and carol who is not.
struct Staff {
    alice: Peer,
    bob: Peer,
    carol: Peer,
    _index: Index,
}

impl Staff {
    fn new() -> Self {
        let index = Index::start();
        let [alice, bob, carol] =
            ["alice", "bob", "carol"].map(|name| Peer::registered(&index, name));
        alice.ok(["group", "create", "staff"]);
        alice.ok(["group", "add", "staff", "bob"]);
        Self { alice, bob, carol, _index: index }
    }
}

fn found(peer: &Peer, what: &str) -> bool {
    peer.run(["search", what]).code == Some(0)
}

#[test]
fn a_folder_for_a_group_is_left_out_of_the_folder_around_it() {
    let Staff { alice, bob, carol, .. } = &Staff::new();
    alice.ok(["group", "create", "board"]);
    for (folder, file) in [("Outer", "open"), ("Outer/In", "salaries"), ("Outer/In/Deep", "plans")]
    {
        std::fs::create_dir_all(alice.path(folder)).unwrap();
        std::fs::write(alice.path(folder).join(file), file).unwrap();
    }
    let shut_out = |what: &str| {
        assert!(!found(carol, what), "{what}");
        carol.fails(4, ["get", &b3sum(what.as_bytes()), "-o", "out"]);
    };

    // First the inner one.
    alice.ok(["share", "Outer/In", "--group", "staff"]);
    let shared = alice.run(["share", "Outer"]).expect_code(0);
    assert_eq!(shared.one("shared")["files"], 1, "{}", shared.story());
    assert!(found(carol, "open") && found(bob, "salaries"));
    shut_out("salaries");
    shut_out("plans");
    // What is for fewer still is apart from both.
    alice.ok(["share", "Outer/In/Deep", "--group", "board"]);
    assert!(!found(bob, "plans") && found(bob, "salaries"));
    // Looking at all again changes nothing.
    alice.ok(["share"]);
    shut_out("salaries");
    assert!(!found(bob, "plans"));

    // What is no longer shared for a group is not shared with the folder around it.
    alice.ok(["unshare", "Outer/In"]);
    alice.ok(["share"]);
    shut_out("salaries");
    assert!(!found(bob, "salaries") && found(carol, "open"));

    // First the outer one: what is in it is taken out of it at once.
    alice.ok(["unshare", "Outer"]);
    alice.ok(["unshare", "Outer/In/Deep"]);
    alice.ok(["share", "Outer"]);
    assert!(found(carol, "salaries") && found(carol, "plans"));
    let mut serving = alice.serve(&[]);
    let shared = alice.ok(["share", "Outer/In", "--group", "staff"]).one("shared");
    // What was hashed is not hashed again.
    assert_eq!((&shared["files"], &shared["hashed"]), (&2.into(), &0.into()), "{shared}");
    shut_out("salaries");
    shut_out("plans");
    assert!(found(bob, "salaries") && found(carol, "open"));
    bob.ok(["get", "alice:/In/Deep/plans"]);
    // Nor does the running peer bring it back.
    std::fs::write(alice.path("Outer/In/new"), "new wages").unwrap();
    std::fs::write(alice.path("Outer/later"), "later").unwrap();
    until("what is new is found", || (found(bob, "new") && found(carol, "later")).then_some(()));
    assert!(serving.process.is_running());
    shut_out("new wages");
    // For the same people it is one folder.
    alice.ok(["share", "Outer", "--group", "staff"]);
    assert!(!found(carol, "open") && found(bob, "open") && found(bob, "salaries"));
}

#[test]
fn what_is_apart_does_not_come_back_by_a_link_a_move_or_the_end_of_its_share() {
    let Staff { alice, bob, carol, .. } = &Staff::new();
    std::fs::create_dir_all(alice.path("Outer/In")).unwrap();
    for (file, text) in [("open", "open"), ("In/salaries", "salaries"), ("In/plans", "plans")] {
        std::fs::write(alice.path("Outer").join(file), text).unwrap();
    }
    std::os::unix::fs::symlink("In/salaries", alice.path("Outer/latest")).unwrap();
    let shut_out = || {
        for what in ["salaries", "latest", "plans"] {
            assert!(!found(carol, what), "{what}");
            carol.fails(4, ["get", &b3sum(what.as_bytes()), "-o", "out"]);
        }
    };
    // The link was shared before it led to something apart.
    alice.ok(["share", "Outer"]);
    assert!(found(carol, "latest"));
    alice.ok(["share", "Outer/In", "--group", "staff"]);
    shut_out();
    alice.ok(["share"]);
    assert!(found(carol, "open") && found(bob, "salaries"));
    shut_out();

    // Its folder gets another name.
    let _serving = alice.serve(&["--ui", "127.0.0.1:0"]);
    std::fs::rename(alice.path("Outer/In"), alice.path("Outer/In2")).unwrap();
    std::fs::write(alice.path("Outer/later"), "later").unwrap();
    until("the peer has looked", || {
        (!found(bob, "salaries") && found(carol, "later")).then_some(())
    });
    alice.ok(["share"]);
    shut_out();
    std::fs::rename(alice.path("Outer/In2"), alice.path("Outer/In")).unwrap();
    until("it is back", || found(bob, "salaries").then_some(()));

    // What was unshared of it is not in what is around it, for whomever that is.
    alice.ok(["unshare", "Outer/In/plans"]);
    alice.ok(["share", "Outer", "--group", "staff"]);
    alice.ok(["share"]);
    assert!(found(bob, "salaries") && !found(bob, "plans"));

    // Its share is ended on the page.
    alice.ok(["share", "Outer", "--public"]);
    shut_out();
    let page = Page::of(alice);
    let shares = page.get("/api/shares");
    let inner = shares["items"].as_array().unwrap().iter().find(|share| share["name"] == "In");
    let id = &inner.unwrap()["id"];
    assert!(page.call(&format!("DELETE /api/shares/{id}"), &Value::Null).status < 300);
    alice.ok(["share"]);
    shut_out();
    assert!(!found(bob, "salaries") && found(carol, "open"));
}

#[test]
fn what_was_shared_for_fewer_stays_so_under_another_name() {
    let Staff { alice, bob, carol, .. } = &Staff::new();
    std::fs::create_dir_all(alice.path("Outer/In")).unwrap();
    for (file, text) in [("open", "open"), ("In/salaries", "salaries"), ("plan", "plan")] {
        std::fs::write(alice.path("Outer").join(file), text).unwrap();
    }
    let arrives = |peer: &Peer, what: &str| {
        until(&format!("{what} is found"), || found(peer, what).then_some(()));
    };
    alice.ok(["share", "Outer"]);
    alice.ok(["share", "Outer/In", "--group", "staff"]);
    alice.ok(["share", "Outer/plan", "--group", "staff"]);
    let _serving = alice.serve(&[]);
    assert!(found(carol, "open") && found(bob, "salaries") && found(bob, "plan"));

    // The folder of last year, and a new one; the plan, and a copy of before.
    for (from, to) in [("In", "Old"), ("plan", "old-plan")] {
        std::fs::rename(alice.path("Outer").join(from), alice.path("Outer").join(to)).unwrap();
    }
    std::fs::create_dir(alice.path("Outer/In")).unwrap();
    for (file, text) in
        [("In/bonuses", "bonuses"), ("plan", "plan B"), ("Old/more", "more"), ("later", "later")]
    {
        std::fs::write(alice.path("Outer").join(file), text).unwrap();
    }
    std::os::unix::fs::symlink("Old/more", alice.path("Outer/link")).unwrap();
    arrives(bob, "bonuses");
    arrives(carol, "later");
    let shut_out = || {
        for what in ["salaries", "more", "link", "Old", "old-plan", "plan"] {
            assert!(!found(carol, what), "{what}");
        }
        for text in ["salaries", "more", "plan", "plan B", "bonuses"] {
            carol.fails(4, ["get", &b3sum(text.as_bytes()), "-o", "out"]);
        }
    };
    shut_out();
    let told = alice.run(["share", "Outer"]).expect_code(0);
    shut_out();
    assert!(found(carol, "open"), "{}", told.story());

    // Nor when the share that it was of ends, nor under a third name.
    std::fs::rename(alice.path("Outer/Old"), alice.path("Outer/Older")).unwrap();
    std::fs::write(alice.path("Outer/latest"), "latest").unwrap();
    arrives(carol, "latest");
    alice.ok(["unshare", "Outer/In"]);
    alice.ok(["share"]);
    shut_out();
    // What is meant is shared.
    alice.ok(["share", "Outer/Older"]);
    assert!(found(carol, "salaries") && found(carol, "more"));
}

/// From beside a share into it, and into one in the same share; what is taken out of a folder that stays is meant.
#[test]
fn a_folder_for_fewer_is_not_for_all_where_it_is_moved_to() {
    let Staff { alice, bob, carol, .. } = &Staff::new();
    for (folder, file) in [("all/pub", "open"), ("all/priv", "salaries"), ("beside", "plans")] {
        std::fs::create_dir_all(alice.path(folder)).unwrap();
        std::fs::write(alice.path(folder).join(file), file).unwrap();
    }
    for share in ["all", "all/pub"] {
        alice.ok(["share", share]);
    }
    for share in ["all/priv", "beside"] {
        alice.ok(["share", share, "--group", "staff"]);
    }
    let _serving = alice.serve(&[]);
    assert!(found(bob, "salaries") && found(bob, "plans"));
    std::fs::rename(alice.path("all/priv"), alice.path("all/pub/moved")).unwrap();
    std::fs::rename(alice.path("beside"), alice.path("all/beside")).unwrap();
    std::fs::write(alice.path("all/pub/later"), "later").unwrap();
    until("the peer has looked", || found(carol, "later").then_some(()));
    alice.ok(["share"]);
    for what in ["salaries", "plans"] {
        assert!(!found(carol, what), "{what}");
        carol.fails(4, ["get", &b3sum(what.as_bytes()), "-o", "out"]);
    }

    std::fs::create_dir(alice.path("kept")).unwrap();
    std::fs::write(alice.path("kept/only"), "only").unwrap();
    alice.ok(["share", "kept", "--group", "staff"]);
    std::fs::rename(alice.path("kept/only"), alice.path("all/only")).unwrap();
    until("it is for all", || found(carol, "only").then_some(()));
    // What it was is taken out after it is known as what it is.
    let kept = until("it is kept no more", || {
        let shares = alice.ok(["shares"]).all("share");
        let kept = shares.into_iter().find(|share| share["name"] == "kept").unwrap();
        (kept["files"] == 0).then_some(kept)
    });
    assert_eq!(kept["online"], true, "{kept}");
}

/// A link into something that the share does not have by itself.
#[test]
fn links_to_what_becomes_for_fewer_are_taken_out_by_the_running_peer() {
    let Staff { alice, carol, .. } = &Staff::new();
    std::fs::create_dir_all(alice.path("Open/.closed")).unwrap();
    std::fs::write(alice.path("Open/.closed/salaries"), "salaries").unwrap();
    std::os::unix::fs::symlink(".closed/salaries", alice.path("Open/latest")).unwrap();
    alice.ok(["share", "Open"]);
    let _serving = alice.serve(&[]);
    let is_found = || carol.run(["search", "latest"]).code == Some(0);
    assert!(is_found());
    alice.ok(["share", "Open/.closed", "--group", "staff"]);
    until("the link is gone", || (!is_found()).then_some(()));
    carol.fails(4, ["get", &b3sum(b"salaries"), "-o", "out"]);
}

/// Whoever was not there to see its new name.
#[test]
fn a_folder_that_was_renamed_before_its_share_ended_stays_out() {
    let Staff { alice, carol, .. } = &Staff::new();
    std::fs::create_dir_all(alice.path("Outer/In")).unwrap();
    std::fs::write(alice.path("Outer/In/salaries"), "salaries").unwrap();
    std::fs::write(alice.path("Outer/open"), "open").unwrap();
    alice.ok(["share", "Outer"]);
    alice.ok(["share", "Outer/In", "--group", "staff"]);
    std::fs::rename(alice.path("Outer/In"), alice.path("Outer/Old")).unwrap();
    alice.ok(["unshare", "Outer/In"]);
    alice.ok(["share"]);
    assert!(found(carol, "open") && !found(carol, "salaries"));
    // Shared by itself it has all that is in it, what links lead to as well.
    std::fs::write(alice.path("Outer/Old/plans"), "plans").unwrap();
    std::os::unix::fs::symlink("plans", alice.path("Outer/Old/latest")).unwrap();
    alice.ok(["share", "Outer/Old"]);
    assert!(["salaries", "plans", "latest"].iter().all(|what| found(carol, what)));
}

#[test]
fn a_folder_that_was_renamed_is_whole_when_it_is_shared_for_all() {
    let Staff { alice, carol, .. } = &Staff::new();
    std::fs::create_dir(alice.path("In")).unwrap();
    std::fs::write(alice.path("In/plans"), "plans").unwrap();
    std::os::unix::fs::symlink("plans", alice.path("In/latest")).unwrap();
    alice.ok(["share", "In", "--group", "staff"]);
    std::fs::rename(alice.path("In"), alice.path("Old")).unwrap();
    alice.ok(["share", "Old"]);
    assert!(found(carol, "plans") && found(carol, "latest"));
}

#[test]
fn a_folder_that_was_shared_while_it_was_empty_stays_for_fewer_under_another_name() {
    let Staff { alice, bob, carol, .. } = &Staff::new();
    std::fs::create_dir_all(alice.path("Outer/New")).unwrap();
    std::fs::write(alice.path("Outer/open"), "open").unwrap();
    alice.ok(["share", "Outer"]);
    alice.ok(["share", "Outer/New", "--group", "staff"]);
    std::fs::rename(alice.path("Outer/New"), alice.path("Outer/Budget")).unwrap();
    std::fs::write(alice.path("Outer/Budget/wages"), "wages").unwrap();
    alice.ok(["share"]);
    assert!(found(carol, "open") && !found(carol, "wages") && !found(bob, "wages"));
    carol.fails(4, ["get", &b3sum(b"wages"), "-o", "out"]);
}

/// From elsewhere, and nobody looked before its share ended.
#[test]
fn what_was_moved_into_a_share_for_all_stays_out_when_its_own_ends() {
    let Staff { alice, carol, .. } = &Staff::new();
    for (folder, file) in [("docs", "plans"), ("pub", "open")] {
        std::fs::create_dir(alice.path(folder)).unwrap();
        std::fs::write(alice.path(folder).join(file), file).unwrap();
    }
    alice.ok(["share", "pub"]);
    alice.ok(["share", "docs", "--group", "staff"]);
    std::fs::rename(alice.path("docs"), alice.path("pub/old")).unwrap();
    alice.ok(["unshare", "docs"]);
    alice.ok(["share"]);
    assert!(found(carol, "open") && !found(carol, "plans"));
    // It is meant when it is named.
    alice.ok(["share", "pub/old"]);
    assert!(found(carol, "plans"));
}

#[test]
fn a_folder_for_fewer_in_the_place_of_one_for_all_is_not_for_all() {
    let Staff { alice, bob, carol, .. } = &Staff::new();
    for (folder, file) in [("Pub", "open"), ("Priv", "salaries")] {
        std::fs::create_dir(alice.path(folder)).unwrap();
        std::fs::write(alice.path(folder).join(file), file).unwrap();
    }
    alice.ok(["share", "Pub"]);
    alice.ok(["share", "Priv", "--group", "staff"]);
    let _serving = alice.serve(&[]);
    assert!(found(bob, "salaries") && found(carol, "open"));
    for (from, to) in [("Pub", "Pub.old"), ("Priv", "Pub")] {
        std::fs::rename(alice.path(from), alice.path(to)).unwrap();
    }
    std::fs::write(alice.path("Pub/bonuses"), "bonuses").unwrap();
    until("the peer has looked", || (!found(carol, "open")).then_some(()));
    let told = alice.run(["share"]);
    assert!(told.story().contains("for fewer"), "{}", told.story());
    for what in ["salaries", "bonuses"] {
        assert!(!found(carol, what), "{what}");
        carol.fails(4, ["get", &b3sum(what.as_bytes()), "-o", "out"]);
    }
    for (from, to) in [("Pub", "Priv"), ("Pub.old", "Pub")] {
        std::fs::rename(alice.path(from), alice.path(to)).unwrap();
    }
    until("all is as before", || (found(carol, "open") && found(bob, "bonuses")).then_some(()));
    assert!(!found(carol, "bonuses"));
}

/// A link to it, and a folder that it lies in.
#[test]
fn what_leads_to_a_folder_for_fewer_is_not_for_all_either() {
    let Staff { alice, bob, carol, .. } = &Staff::new();
    for (folder, file) in [("Docs/Pub", "open"), ("Plain", "plain"), ("Priv/Pub", "salaries")] {
        std::fs::create_dir_all(alice.path(folder)).unwrap();
        std::fs::write(alice.path(folder).join(file), file).unwrap();
    }
    for share in ["Docs/Pub", "Plain"] {
        alice.ok(["share", share]);
    }
    alice.ok(["share", "Priv", "--group", "staff"]);
    let _serving = alice.serve(&[]);
    assert!(found(bob, "salaries") && found(carol, "open") && found(carol, "plain"));
    let rename = |from: &str, to: &str| std::fs::rename(alice.path(from), alice.path(to)).unwrap();
    rename("Plain", "Plain.old");
    std::os::unix::fs::symlink("Priv/Pub", alice.path("Plain")).unwrap();
    until("the peer has looked", || (!found(carol, "plain")).then_some(()));
    rename("Docs", "Docs.old");
    rename("Priv", "Docs");
    until("the peer has looked again", || (!found(carol, "open")).then_some(()));
    alice.run(["share"]);
    assert!(!found(carol, "salaries"));
    carol.fails(4, ["get", &b3sum(b"salaries"), "-o", "out"]);
}
