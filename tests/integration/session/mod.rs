//! What an application and a client see of a session: one list of scenarios, and all of them on
//! every transport.

mod closing;
mod drain;
mod handlers;
mod limits;
mod memory;
mod messages;
mod pressure;
mod rig;
mod time;

use common::scenarios::on_every_transport;

// What a transport does differently by its nature is said here, and nothing else differs.
on_every_transport! {
    messages: {
        // 10,000 each way, at the same time.
        order_is_kept_both_ways,
        // A WebSocket's receiver is always there: each message is a frame of its own.
        what_was_queued_between_receivers_is_one_frame,
        an_empty_message_is_a_message,
        every_code_point_is_echoed,
        // On a raw WebSocket nothing is escaped, for there is no script on the way.
        fragile_characters_are_escaped_on_the_way,
        // A raw WebSocket has no JSON, so there are no escapes either.
        surrogates_find_their_partners_or_are_replaced,
        text_that_means_something_to_a_wrapping_is_only_text,
        // Only raw WebSockets carry bytes; the others give a message of bytes back.
        bytes_travel_where_they_can,
        // Only over a WebSocket can a client send bytes at all.
        bytes_that_nobody_wants_close_the_session,
        a_session_is_a_stream_and_a_sink,
        closing_the_sink_closes_the_session,
        a_sender_outlives_its_session,
        a_sender_is_a_sink_for_other_tasks,
    }
    pressure: {
        // The sockets of a WebSocket hold messages that have not been taken; a payload over HTTP is
        // answered when it was taken.
        an_application_that_does_not_receive_stops_its_client,
        // HTTP only: a WebSocket is not read, for as long as it takes.
        an_application_that_never_receives_loses_its_client,
        // A raw WebSocket has no payloads.
        a_payload_is_admitted_whole,
        // Between polls no socket holds anything.
        a_client_that_does_not_read_stops_its_application,
        what_no_transport_took_is_counted,
        a_client_that_never_reads_can_be_closed,
        // WebSocket only: over HTTP what was not answered was not sent.
        what_a_client_sent_before_it_went_is_received,
        // WebSocket only, too.
        an_end_is_seen_while_the_application_does_not_receive,
        the_rest_of_a_client_is_waited_for_no_longer_than_it_may,
        a_sink_that_is_ready_takes_what_comes,
        senders_get_room_in_turn,
        a_client_over_its_rate_waits_and_loses_nothing,
        a_small_queue_loses_nothing,
    }
    closing: {
        the_application_closes,
        the_constants_for_applications_reach_clients_as_their_codes,
        somebody_closes_through_a_sender,
        // Not on a raw WebSocket, where the test can't know whether a message has come.
        what_was_not_received_before_the_close_is_dropped,
        // HTTP only: a WebSocket that was closed is gone.
        a_closed_session_still_takes_and_drops,
        // HTTP only, too.
        a_closed_session_tells_everyone_who_comes,
        // Streams only: the test can't tell when a poll has arrived.
        a_second_receiver_is_turned_away_and_logged,
        // Only a raw WebSocket's client says why it goes.
        the_client_closes,
        what_a_client_says_stays_one_line_of_the_log,
        the_client_aborts,
        an_end_is_one_line_in_the_log,
    }
    handlers: {
        a_panic_ends_its_session_and_no_other,
        a_panic_before_the_first_await,
        a_panic_before_there_is_a_future,
        an_error_ends_its_session_and_is_logged,
        a_client_that_leaves_is_no_failure_of_its_handler,
        a_dropped_session_ends_before_its_handler,
        a_handler_returns_and_its_session_lives_elsewhere,
        a_handler_returns_at_once,
        // A client between polls is missed only when the disconnect delay is over.
        a_handler_that_never_receives,
        the_session_knows_where_its_client_came_from,
    }
    limits: {
        a_message_over_message_size,
        // Raw WebSockets have no payloads, here and in the next one.
        too_many_messages_in_a_payload,
        a_payload_over_payload_size,
        one_session_too_many,
        // HTTP only: a WebSocket's payloads come one after another.
        too_many_payloads_wait,
        a_message_larger_than_the_outbound_queue,
        queues_without_room_pass_on_one_thing_at_a_time,
        delays_may_be_for_ever,
    }
    memory: {
        the_largest_holder_is_ended_by_name,
        what_a_hoarder_was_to_get_is_counted,
        new_sessions_are_refused_while_memory_is_short,
        who_holds_much_is_read_no_further_while_memory_is_short,
        senders_that_read_nothing_cost_others_nothing,
    }
    drain: {
        what_is_queued_goes_before_the_reason,
        // Not on a raw WebSocket, where the test can't know whether a message has come.
        what_came_before_the_drain_is_received,
        no_session_opens_any_more,
        // Polls only: a stream and a WebSocket are always told.
        a_client_that_does_not_come_back_is_counted,
        a_drain_waits_for_handlers,
        // HTTP only: the response of a WebSocket is its session.
        responses_end_in_order,
    }
    time: {
        // On a raw WebSocket it is a ping, because there is no frame for it.
        heartbeats_come_while_nothing_else_does,
    }
}
