//! The transport comparison: what each way of carrying messages costs, measured from outside.
//!
//! It is a client of whatever speaks SockJS, behind `sockeye bench` and the benchmarks of this
//! repository. [`driver`] makes load, [`relay`] and [`profiles`] put networks in between, [`suite`]
//! says which measurement comes when, [`results`], [`table`] and [`report`] tell what was found.

mod alarm;
pub mod cost;
pub mod driver;
pub mod gateway;
pub mod machine;
pub mod os;
pub mod profiles;
pub mod relay;
pub mod report;
pub mod results;
pub mod stamp;
pub mod subject;
pub mod suite;
pub mod table;
