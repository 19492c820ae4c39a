//! The transport comparison: what each way of carrying messages costs, measured from outside.
//!
//! Behind the feature `bench`, for the binary and the benchmarks of this crate, and no part of its public API.

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
pub mod subject;
pub mod suite;
pub mod table;
