//! The relay and the rooms, from their clients' side, on every transport.

mod calls;
mod nasty;
mod old_pages;
mod peers;

use common::scenarios::on_every_transport;

on_every_transport! {
    old_pages: {
        two_pages_of_the_plain_relay_call_each_other,
        the_relay_passes_on_bytes_and_sends_none_back,
        who_has_left_the_relay_is_forgotten,
        two_pages_of_the_event_relay_call_each_other,
        two_pages_with_rooms_call_each_other,
        a_page_with_rooms_is_reloaded,
        a_name_in_use_is_refused,
        a_page_that_never_joins_is_told_that_it_is_alone,
    }
    calls: {
        three_participants_make_pairs,
        a_participant_returns_with_its_token,
        what_was_lost_with_the_connection_comes_again,
        a_reloaded_page_is_a_new_incarnation,
        the_token_takes_over_from_a_session_that_still_lives,
        who_does_not_return_is_gone,
        an_old_page_and_a_new_one_call_each_other,
    }
    nasty: {
        bad_messages_are_answered_and_disturb_nobody,
        a_message_over_the_endpoint_s_limit_costs_its_session_only,
        a_thousand_joins,
        a_room_is_full,
        another_s_name_and_another_s_token,
        a_peer_that_never_reads,
    }
}
