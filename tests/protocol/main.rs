//! The wire protocol, statement by statement.

#[path = "../common/mod.rs"]
mod common;
#[path = "../../examples/conformance/endpoints.rs"]
mod endpoints;

mod cors;
mod delays;
mod frames;
mod http;
mod lifecycle;
mod limits;
mod memory;
mod pages;
mod routes;
mod send;
mod support;
mod websocket;
