//! The future that an app's handler returns.

use std::pin::Pin;

/// A session being served: what a handler that holds shared state returns.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;
