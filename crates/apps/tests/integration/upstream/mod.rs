//! The gateway in front of an application that speaks plain WebSocket. The backends are written
//! with tokio-tungstenite; the clients are the tests' own.

mod backend;
mod ends;
mod failures;
mod messages;
mod pressure;
mod requests;
mod tls;

use common::scenarios::on_every_transport;

on_every_transport! {
    requests: {
        the_backend_learns_who_asks,
    }
    messages: {
        text_keeps_its_order_both_ways,
        what_is_said_before_the_backend_answers_waits,
        binary_travels_where_it_can,
    }
    pressure: {
        a_backend_that_does_not_read_stops_its_client,
        a_client_that_does_not_read_stops_the_backend,
    }
    ends: {
        the_backend_closes,
        the_backend_closes_without_a_code,
        the_backend_drops_its_connection,
        the_client_closes,
        the_client_is_gone_before_the_backend_answers,
        the_client_says_something_and_is_gone_before_the_backend_answers,
        what_the_client_said_last_arrives_before_its_end,
        a_limit_of_the_gateway_closes,
    }
    failures: {
        nobody_listens,
        the_backend_refuses,
        the_backend_does_not_answer,
        the_backend_speaks_something_else,
    }
}
