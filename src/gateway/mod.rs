//! The gateway: from a request to the session it belongs to.

pub(crate) mod prefix;
pub(crate) mod route;
