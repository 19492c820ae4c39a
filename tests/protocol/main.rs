//! The wire protocol, statement by statement.

#[path = "../common/mod.rs"]
mod common;

mod cors;
mod frames;
mod http;
mod lifecycle;
mod limits;
mod pages;
mod routes;
mod send;
mod support;
mod websocket;
