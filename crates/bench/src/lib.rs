//! The transport comparison: latency, throughput, cost and correctness of each SockJS transport,
//! measured from outside the server.
//!
//! The crate is a client of any SockJS server. The program's command `sockeye bench` and this
//! repository's benchmarks run on it.
//!
//! # Quick start
//!
//! Load on an echo endpoint, with every message checked:
//!
//! ```
//! use std::time::Duration;
//!
//! use sockeye_bench::driver::echo::{self, Echo, Pace};
//! use sockeye_bench::driver::{Target, Technique, Timing, block_on};
//!
//! # fn example_server() -> std::io::Result<String> {
//! #     let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! #     listener.set_nonblocking(true)?;
//! #     let url = format!("http://{}/echo", listener.local_addr()?);
//! #     let echo = |mut session: sockeye::Session| async move {
//! #         while let Some(message) = session.recv().await {
//! #             if session.send(message).await.is_err() { break }
//! #         }
//! #     };
//! #     let gateway = sockeye::Gateway::new().endpoint("/echo", echo);
//! #     std::thread::spawn(|| block_on(async move {
//! #         let listener = tokio::net::TcpListener::from_std(listener)?;
//! #         sockeye::serve(listener, gateway).await;
//! #         std::io::Result::Ok(())
//! #     }));
//! #     Ok(url)
//! # }
//! # let url = example_server()?;
//! let target: Target = url.parse()?; // such as http://127.0.0.1:8080/echo
//! let plan = Echo {
//!     technique: Technique::WebSocket,
//!     sessions: 10,
//!     size: 64,
//!     pace: Pace::InFlight(1),
//!     stamped: false,
//!     timing: Timing {
//!         warm_up: Duration::from_millis(20),
//!         measured: Duration::from_millis(100),
//!         patience: Duration::from_secs(20),
//!     },
//! };
//! let outcome = block_on(echo::run(&target, None, &plan))??;
//! assert!(outcome.correctness.is_perfect());
//! println!("{} messages", outcome.messages);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | module | content |
//! |---|---|
//! | [`driver`] | load: sessions over each transport, at a pace, checked message by message |
//! | [`relay`], [`profiles`] | networks that delay, cut, buffer and forbid, between client and server |
//! | [`gateway`], [`subject`] | the measured servers: processes of an own gateway, or running servers |
//! | [`suite`] | the order of the measurements |
//! | [`results`], [`table`], [`report`] | the findings: as data, as tables, as a page with pictures |
//! | [`cost`], [`os`], [`machine`], [`others`] | processor time and memory of a process; the machine; what others took of it |
//! | [`spread`] | a figure of several turns, and when two of them are level |
//! | [`stamp`] | an app that returns each message with the time of its arrival |

mod alarm;
pub mod cost;
pub mod driver;
pub mod gateway;
pub mod machine;
pub mod os;
pub mod others;
pub mod profiles;
pub mod relay;
pub mod report;
pub mod results;
pub mod spread;
pub mod stamp;
pub mod subject;
pub mod suite;
pub mod table;
