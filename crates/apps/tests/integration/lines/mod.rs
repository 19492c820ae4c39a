//! Clients that speak in records over TCP, some of them Java programs, and the apps for them.

mod chat;
mod java;

use std::time::Duration;

use common::records::{Client, record, serve};
use sockeye_apps::line_echo;
use tokio::io::AsyncWriteExt;

/// A timeout that a test over real sockets expects to expire.
const SHORT: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn the_line_echo_answers_one_record_and_ends() {
    let mut client = serve(line_echo);
    client.write_all(&[record("안녕\0😀"), record("more")].concat()).await.expect("it reads");
    assert_eq!(client.rest().await, record("[ECHO]안녕\0😀(from Server!)"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_no_record_can_hold_is_none() {
    let mut client = serve(line_echo);
    client.write_all(&record(&"x".repeat(65_520))).await.expect("it reads");
    assert_eq!(client.rest().await, b"");
    let mut client = serve(line_echo);
    client.write_all(&record(&"x".repeat(65_515))).await.expect("it reads");
    assert_eq!(client.rest().await.len(), 2 + 65_535);
}
