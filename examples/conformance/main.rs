//! The endpoints that the public SockJS test suites expect, on 127.0.0.1:8081 or the port that is
//! given:
//!
//! ```text
//! SOCKJS_CLIENT_URL=http://localhost:8080/sockjs.min.js cargo run --release --example conformance -- 8081
//! ```
//!
//! | endpoint | what it does |
//! |---|---|
//! | `/echo` | sends back what comes; streaming responses end after 4096 bytes |
//! | `/disabled_websocket_echo` | the same without WebSocket |
//! | `/cookie_needed_echo` | the same with a cookie for load balancers |
//! | `/close` | closes at once with 3000 "Go away!" |
//! | `/broadcast` | sends what comes to every session |
//! | `/amplify` | answers a number n below 20 with 2ⁿ times `x` |
//! | `/ticker` | sends `tick!` each second |
//! | `/subprotocol` | says which of the sub-protocols `v1.echo` and `v2.echo` its WebSocket has, or `none` |

mod endpoints;

use std::error::Error;
use std::net::Ipv4Addr;

use tokio::net::TcpListener;

const CLIENT_URL: &str = "https://cdn.jsdelivr.net/npm/sockjs-client@1.6.1/dist/sockjs.min.js";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::args().nth(1) {
        None => 8081,
        Some(port) => {
            port.parse().map_err(|_| format!("{port:?} is no port: give a number up to 65535"))?
        }
    };
    let client_url = std::env::var("SOCKJS_CLIENT_URL").unwrap_or_else(|_| CLIENT_URL.into());
    let gateway = endpoints::gateway(&client_url);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    sockeye::serve(listener, gateway).await;
    Ok(())
}
