//! A SockJS client for the terminal: `cargo run --example client --features client -- URL`.
//!
//! It sends each line that is typed, and prints each message that comes.

use std::error::Error;

use sockeye::client::Client;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};

pub(crate) async fn talk(
    url: &str,
    input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> Result<(), Box<dyn Error>> {
    let mut connection = Client::connect(url).await?;
    let opened = format!("connected by {}\n", connection.transport());
    output.write_all(opened.as_bytes()).await?;
    let mut lines = input.lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => connection.send(line).await?,
                None => break,
            },
            message = connection.recv() => {
                let Some(message) = message else { break };
                let text = format!("{}\n", message.as_text().unwrap_or("(bytes)"));
                output.write_all(text.as_bytes()).await?;
            }
        }
    }
    // What was sent goes out first; what it is answered with is not waited for.
    let end = connection.close().await;
    let ended = format!("ended: {}, {} messages not delivered\n", end.reason, end.undelivered);
    output.write_all(ended.as_bytes()).await?;
    output.flush().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1);
    let url = url.as_deref().unwrap_or("http://127.0.0.1:8081/echo");
    talk(url, BufReader::new(tokio::io::stdin()), tokio::io::stdout()).await
}
