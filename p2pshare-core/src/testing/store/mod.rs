//! The conformance suite of index stores: each law of [`index::store`](crate::index::store) is a function here.
//!
//! A backend's test file is one line. The expression is an async function or closure that gives a fresh, empty store
//! each time:
//!
//! ```
//! use std::sync::Arc;
//!
//! use p2pshare_core::{backend::memory::MemoryStore, index::store::IndexStore};
//!
//! p2pshare_core::store_conformance!(async || Arc::new(MemoryStore::new()) as Arc<dyn IndexStore>);
//! ```
//!
//! [`history`] holds a backend against the memory store over random histories.

#![allow(
    clippy::indexing_slicing,
    reason = "a law that indexes past what a store answered has failed, as an assertion does"
)]

pub mod browse;
pub mod groups;
pub mod history;
pub mod hits;
pub mod invites;
pub mod locate;
pub mod order;
pub mod overview;
pub mod peers;
pub mod publish;
pub mod reach;
pub mod search;
pub mod sessions;
pub mod users;
pub mod visibility;
pub mod whole;

mod fixture;

use std::sync::Arc;

use crate::index::store::IndexStore;

/// Makes a test of each law, in a module for each trait.
///
/// Takes an async function or closure without parameters that gives a fresh, empty `Arc<dyn IndexStore>`. The tests
/// need nothing but this crate: each has a runtime of its own. For several stores in one file, give each a module of its
/// own.
#[macro_export]
macro_rules! store_conformance {
    ($make:expr $(,)?) => {
        $crate::__store_laws! { __store_tests, $make }
    };
}

/// Tries every law, one after the other, each on a fresh store: for where a test for each is not wanted. Call it on a
/// runtime of several threads, or races are tried less well.
///
/// ```
/// # use std::sync::Arc;
/// # use p2pshare_core::{backend::memory::MemoryStore, index::store::IndexStore, testing::store};
/// let make = async || Arc::new(MemoryStore::new()) as Arc<dyn IndexStore>;
/// store::block_on(store::run_all(make));
/// ```
///
/// # Panics
/// If a law does not hold.
pub async fn run_all(make: impl AsyncFn() -> Arc<dyn IndexStore>) {
    crate::__store_laws! { __store_run, make }
}

/// Runs a law on a runtime of its own, with threads enough for races to happen.
///
/// # Panics
/// If the law does not hold, or the system has no thread to give.
pub fn block_on<T>(law: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("the system has threads to give")
        .block_on(law)
}

/// The list of laws: hands it to another macro of this crate, with what that macro needs.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_laws {
    ($with:ident, $make:expr) => {
        $crate::$with! {
            $make;
            whole {
                a_store_answers,
                an_empty_store_is_empty,
                counts_are_of_now,
                writes_are_read_at_once,
                a_dropped_write_is_done_or_not,
                a_lease_is_held_by_one_or_by_all,
            }
            users {
                an_account_is_kept_as_given,
                a_name_is_taken_once,
                of_several_who_take_a_name_one_wins,
                only_the_first_account_is_first,
                of_several_first_accounts_one_wins,
                a_verifier_is_replaced_if_as_expected,
                with_a_verifier_sessions_end,
                of_several_who_expect_a_verifier_one_wins,
                disabling_ends_sessions_and_presence,
                disabling_deletes_invites,
                an_operator_is_made_and_unmade,
                deleting_a_user_deletes_all_that_is_theirs,
                a_deleted_name_is_free_and_clean,
                users_are_paged_in_order,
            }
            sessions {
                a_session_is_kept_as_given,
                a_session_opens_only_as_the_account_is_now,
                a_refused_session_changes_nothing,
                a_token_opens_one_session,
                no_login_slips_past_a_change_of_password,
                a_session_ends_at_its_time,
                the_sessions_that_end_first_give_way,
                sessions_that_lasted_longer_once_are_not_kept_for_that,
                a_session_that_was_extended_ends_later,
                the_new_session_remains,
                no_more_sessions_remain_than_are_kept,
                one_session_is_ended,
                all_sessions_of_a_user_are_ended,
                sessions_of_a_user_are_in_order,
                expired_sessions_are_purged,
            }
            peers {
                a_peer_is_kept_as_announced,
                a_later_announce_replaces,
                an_old_announce_is_stale,
                a_peer_has_one_owner,
                a_peer_needs_an_owner,
                no_peer_outlives_its_owner,
                of_many_announces_the_newest_remains,
                peers_of_a_user_are_in_order,
                a_heartbeat_moves_time_forward,
                a_goodbye_holds_until_the_next_announce,
                a_goodbye_forgets_partial_sources,
                a_deleted_peer_leaves_nothing,
                silent_peers_are_purged,
                ended_partial_sources_are_purged,
            }
            publish {
                an_entry_is_kept_as_given,
                changes_are_counted,
                publishing_again_changes_nothing,
                a_changed_entry_has_the_new_time,
                time_may_go_back,
                a_batch_is_applied_in_order,
                only_its_owner_publishes_for_a_peer,
                only_members_publish_to_a_group,
                no_publish_slips_past_the_end_of_a_membership,
                batches_at_once_do_not_mix,
                entries_are_paged_in_order,
                dated_entries_are_paged_alike,
                entries_are_counted,
                known_paths_are_counted,
            }
            search {
                every_word_begins_a_word_of_the_path,
                case_and_diacritics_do_not_matter,
                no_word_is_an_operator,
                excluded_terms_take_away,
                filters_narrow,
                what_is_older_is_left_out,
                what_is_new_is_paged_in_every_order,
                a_search_finds_what_is_there_now,
            }
            hits {
                a_hit_is_one_content_of_one_size,
                very_many_paths_of_a_content_hide_none,
                names_are_the_best_that_match,
                time_is_of_what_matches_and_sources_of_what_is_seen,
                presence_is_told_from_the_time_given,
            }
            order {
                relevance_orders,
                each_sort_orders,
                pages_make_the_whole,
                a_position_need_not_be_a_hit,
                a_search_is_bounded,
            }
            visibility {
                each_sees_what_is_for_them,
                the_viewers_groups_decide,
                what_is_not_seen_adds_nothing_to_a_hit,
                a_change_of_visibility_holds,
                a_folder_of_hidden_files_is_hidden,
            }
            locate {
                a_content_has_a_hit_for_each_size,
                very_many_paths_are_one_source,
                names_of_a_content_are_in_order,
                contents_are_located_in_the_order_asked,
                a_source_is_told_whole,
                the_size_is_what_most_peers_claim,
                sources_can_be_reached,
                sources_come_from_the_pivot_on,
                the_limit_is_of_sources_online,
                partial_sources_last_until_their_time,
                partial_sources_can_be_reached,
                a_partial_source_alone_is_nothing,
                only_its_owner_notes_a_partial_source,
            }
            reach {
                a_full_source_is_told_for_what_it_shares,
                a_location_names_the_groups_of_what_is_found,
                a_partial_source_is_told_to_who_is_in_all_its_groups,
                groups_of_a_partial_source_stay,
                only_members_note_a_partial_source_for_a_group,
                leaving_forgets_partial_sources,
                deleting_a_group_forgets_partial_sources,
                no_note_slips_past_the_end_of_a_membership,
                what_is_withdrawn_from_a_group_is_told_to_no_others,
            }
            browse {
                files_below_a_folder_are_paged_in_order,
                a_file_is_there_once_for_each_content,
                a_folder_lists_folders_then_files,
                a_folder_has_its_whole_path,
                browsing_goes_on_where_something_was,
                paths_are_compared_as_they_are,
                folders_are_found_among_files,
                browsing_is_bounded,
            }
            groups {
                a_group_is_kept_as_given,
                a_group_needs_a_free_name_and_an_owner,
                of_several_groups_of_a_name_one_wins,
                groups_and_members_are_in_order,
                a_member_joins_once,
                leaving_withdraws_what_was_shared,
                what_was_shared_is_withdrawn_in_parts,
                the_owner_stays,
                a_group_is_given_to_a_member,
                no_invite_outlives_its_makers_ownership,
                deleting_a_group_withdraws_what_was_shared,
                a_deleted_user_is_in_no_group,
                a_disabled_user_stays_a_member,
            }
            invites {
                an_invite_is_kept_as_given,
                an_invite_needs_its_maker_and_group,
                no_invite_slips_past_the_disabling_of_its_maker,
                redeeming_registers_and_joins,
                an_invite_ends,
                a_taken_name_takes_no_use,
                no_invite_is_used_too_often,
                of_many_who_redeem_for_a_name_one_wins,
                invites_of_a_user_are_newest_first,
                a_deleted_invite_is_gone,
                ended_invites_are_purged,
                good_invites_are_paged_by_their_end,
            }
            overview {
                an_overview_tells_how_much_is_whose,
                an_overview_is_of_its_time,
                overviews_are_paged_in_order_of_name,
                a_prefix_is_of_the_name,
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    ($make:expr; $($of:ident { $($law:ident,)+ })+) => {
        $(mod $of {
            #[allow(unused_imports, reason = "the expression may need what is outside or not")]
            use super::*;

            $(#[test]
            fn $law() {
                $crate::testing::store::block_on(async {
                    $crate::testing::store::$of::$law(($make)().await).await;
                });
            })+
        })+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_run {
    ($make:expr; $($of:ident { $($law:ident,)+ })+) => {
        $($($crate::testing::store::$of::$law($make().await).await;)+)+
    };
}
