//! What a session keeps of the request that opened it.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;

use super::endpoint::Endpoint;
use super::headers::copy;
use super::refusal::Refusal;
use crate::serve::{LocalAddr, PeerAddr};
use crate::session::{ConnectInfo, ConnectInfoParts};
use crate::transport::PeerWatch;

/// Takes from a request the facts that its session keeps.
///
/// Header values are copied: hyper's are slices of the connection's read buffer, and a slice would
/// keep its 8 KiB.
///
/// # Errors
///
/// When that would be more than the configuration allows: it is kept for as long as the session
/// lives.
pub(super) fn connect_info(
    parts: &mut Parts,
    transport: &'static str,
    endpoint: &Endpoint,
    watch: Option<&PeerWatch>,
    subprotocol: Option<Arc<str>>,
) -> Result<ConnectInfo, Refusal> {
    let (config, prefix) = (&endpoint.config, endpoint.prefix.as_str());
    let (path, query) = (parts.uri.path(), parts.uri.query());
    let limit = config.target_size;
    if path.len() + query.map_or(0, |query| 1 + query.len()) > limit {
        return Err(Refusal::TargetTooLong { limit });
    }
    let kept = || parts.headers.iter().filter(|(name, _)| config.kept_headers.contains(name));
    let limit = config.kept_header_bytes;
    if kept().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > limit {
        return Err(Refusal::HeadersTooLarge { limit });
    }
    let headers = kept().filter_map(|(name, value)| Some((name.clone(), copy(value)?))).collect();
    let mut extensions = std::mem::take(&mut parts.extensions);
    extensions.remove::<hyper::upgrade::OnUpgrade>();
    // It would keep the connection open as long as the session lives.
    let removed = extensions.remove::<PeerWatch>();
    let local = extensions.remove::<LocalAddr>().map(|local| local.0);
    let local = local.or_else(|| watch.or(removed.as_ref())?.local_addr());
    // A slice of the connection's read buffer, which is as large as two idle sessions; path and
    // query are kept below.
    #[cfg(feature = "axum")]
    extensions.remove::<axum::extract::OriginalUri>();
    let peer = peer(&extensions);
    extensions.remove::<PeerAddr>();
    if extensions.is_empty() {
        // Emptied, it would keep its table.
        extensions = http::Extensions::new();
    }
    Ok(ConnectInfo::new(ConnectInfoParts {
        peer,
        local,
        transport,
        subprotocol,
        // The request has come to this endpoint because its path begins so.
        prefix: prefix.len(),
        path: path.into(),
        query: query.map(Into::into),
        headers,
        extensions,
    }))
}

fn peer(extensions: &http::Extensions) -> Option<SocketAddr> {
    let told = extensions.get::<PeerAddr>().map(|peer| peer.0);
    #[cfg(feature = "axum")]
    let told = told
        .or_else(|| extensions.get::<axum::extract::ConnectInfo<SocketAddr>>().map(|info| info.0));
    told
}
