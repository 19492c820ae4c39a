//! ICE servers for peer connections: STUN, and TURN with credentials that expire.

mod config;
mod limiter;
mod url;

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Serialize;
use sha1::Sha1;
use subtle::ConstantTimeEq;

pub use self::config::{Credentials, IceConfig, IceConfigError, IceServer, IceServerError};
use self::limiter::Limiter;
pub use self::url::{IceUrl, IceUrlError};
use crate::clock;
use sockeye::PeerAddr;

/// Hands out ICE servers over HTTP, in the form that `RTCPeerConnection` takes.
///
/// ```
/// # async fn example() -> Result<(), sockeye_apps::ice::IceConfigError> {
/// use sockeye_apps::ice::{Ice, IceConfig};
///
/// let ice = Ice::new(IceConfig::from_json(r#"{"iceServers": [{"urls": "stun:stun.example.org"}]}"#)?);
/// let response = ice.answer(&http::Request::get("/ice").body(()).expect("a request"));
/// assert_eq!(response.status(), 200);
/// // {"iceServers":[{"urls":["stun:stun.example.org"]}],"ttl":3600}
/// # Ok(())
/// # }
/// ```
///
/// A TURN server relays the traffic of peers, so a client with credentials can spend its bandwidth.
/// Therefore credentials expire, a token can be required, and requests are limited per address. The
/// address is that of the connection ([`PeerAddr`]); behind a proxy it is the proxy's, and the
/// proxy should set the limit.
pub struct Ice {
    config: IceConfig,
    limiter: Limiter,
}

impl Ice {
    /// Serves the servers in `config`.
    pub fn new(config: IceConfig) -> Self {
        let limiter = Limiter::new(config.requests_per_minute, config.addresses);
        Self { config, limiter }
    }

    /// Answers a request, whatever its path.
    ///
    /// 200 with `{"iceServers": […], "ttl": seconds}`; 401 without the right token; 405; 429 with
    /// `Retry-After` when the address is over its limit. No answer may be cached.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Bytes> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response =
                refusal(StatusCode::METHOD_NOT_ALLOWED, "this path takes GET and HEAD only");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        // Before the token: guessing is limited as well.
        let from = request
            .extensions()
            .get::<PeerAddr>()
            .map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip());
        if let Err(wait) = self.limiter.check(from) {
            return self.too_many(wait);
        }
        if !self.is_allowed(request.headers()) {
            let mut response = refusal(
                StatusCode::UNAUTHORIZED,
                "send the token as `Authorization: Bearer TOKEN`",
            );
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        json(
            StatusCode::OK,
            &self.servers(clock::unix_millis() / 1000, &format!("{:08x}", rand::random::<u32>())),
        )
    }

    fn too_many(&self, wait: Duration) -> Response<Bytes> {
        let limit = self.config.requests_per_minute;
        let seconds = wait.as_secs_f64().ceil() as u64;
        let problem = format!(
            "too many requests from this address: requestsPerMinute is {limit}; try again in {seconds} s"
        );
        let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, &problem);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        response
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.config.token else { return true };
        let Some(value) = headers.get(header::AUTHORIZATION) else { return false };
        let Some((scheme, sent)) = value.as_bytes().split_at_checked("Bearer ".len()) else {
            return false;
        };
        // Compared in constant time, so that timing does not reveal a prefix.
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(sent.ct_eq(token.as_bytes()))
    }

    /// `now` in seconds since 1970; `user` tells one answer from another in the TURN server's log.
    fn servers(&self, now: u64, user: &str) -> Answer<'_> {
        let ttl = self.config.ttl.as_secs();
        let entry = |server: &'_ IceServer| -> (Option<String>, Option<String>) {
            match server.credentials() {
                Credentials::None => (None, None),
                Credentials::Fixed { username, password } => {
                    (Some(username.clone()), Some(password.clone()))
                }
                Credentials::Shared { secret } => {
                    let username = format!("{}:{user}", now + ttl);
                    let password = password(secret, &username);
                    (Some(username), Some(password))
                }
            }
        };
        let ice_servers = self.config.servers.iter().map(|server| {
            let (username, credential) = entry(server);
            Server { urls: server.urls(), username, credential }
        });
        Answer { ice_servers: ice_servers.collect(), ttl }
    }
}

impl fmt::Debug for Ice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ice").field("servers", &self.config.servers).finish_non_exhaustive()
    }
}

/// The password that a TURN server with the same secret computes for that name: the base64 of its
/// HMAC-SHA1.
fn password(secret: &str, username: &str) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(username.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'c> {
    ice_servers: Vec<Server<'c>>,
    ttl: u64,
}

#[derive(Serialize)]
struct Server<'c> {
    urls: &'c [IceUrl],
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

fn refusal(status: StatusCode, problem: &str) -> Response<Bytes> {
    #[derive(Serialize)]
    struct ErrorBody<'p> {
        error: &'p str,
    }
    json(status, &ErrorBody { error: problem })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Bytes> {
    let body = serde_json::to_vec(value).expect("texts and numbers have a JSON form");
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::time::advance;

    use super::*;

    fn ice(config: Value) -> Ice {
        Ice::new(IceConfig::from_json(&config.to_string()).expect("a configuration"))
    }

    fn get(headers: &[(&str, &str)]) -> Request<()> {
        let request = headers
            .iter()
            .fold(Request::get("/ice"), |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("a request")
    }

    async fn body(response: Response<Bytes>) -> Value {
        let bytes = response.into_body();
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn credentials_are_those_that_coturn_computes() {
        // By hand: printf %s 1700003600:ann | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(password("north", "1700003600:ann"), "TwqKCcbzejRFa1sgGqGS7SEzCGg=");
        let ice = ice(json!({"iceServers": [
            {"urls": "stun:a"},
            {"urls": ["turn:b", "turns:b"], "username": "u", "credential": "p"},
            {"urls": "turn:c", "secret": "north"}
        ]}));
        assert_eq!(
            serde_json::to_value(ice.servers(1_700_000_000, "ann")).expect("JSON"),
            json!({"iceServers": [
                {"urls": ["stun:a"]},
                {"urls": ["turn:b", "turns:b"], "username": "u", "credential": "p"},
                {"urls": ["turn:c"], "username": "1700003600:ann", "credential": "TwqKCcbzejRFa1sgGqGS7SEzCGg="}
            ], "ttl": 3600})
        );
    }

    #[tokio::test]
    async fn an_answer_is_json_that_nobody_stores() {
        let ice = ice(json!({"iceServers": [{"urls": "turn:c", "secret": "north"}], "ttl": 60}));
        let response = ice.answer(&get(&[]));
        assert_eq!(
            (response.status(), &response.headers()[header::CACHE_CONTROL]),
            (StatusCode::OK, &HeaderValue::from_static("no-store"))
        );
        let answer = body(response).await;
        let (expiry, user) = answer["iceServers"][0]["username"]
            .as_str()
            .and_then(|name| name.split_once(':'))
            .expect("expiry:user");
        let lives = expiry.parse::<u64>().expect("seconds") - clock::unix_millis() / 1000;
        assert!((59..=60).contains(&lives) && user.len() == 8, "{answer}");
        let again = body(ice.answer(&get(&[]))).await;
        assert_ne!(answer["iceServers"][0]["username"], again["iceServers"][0]["username"]);
    }

    #[tokio::test]
    async fn the_token_is_wanted_whole() {
        let ice = ice(json!({"iceServers": [], "token": "opensesame"}));
        for sent in [
            "",
            "opensesame",
            "Bearer",
            "Bearer ",
            "Bearer opensesam",
            "Bearer opensesame ",
            "Bearer opensesamE",
            "Basic opensesame",
        ] {
            let response = ice.answer(&get(&[("authorization", sent)]));
            assert_eq!(
                (response.status(), &response.headers()[header::WWW_AUTHENTICATE]),
                (StatusCode::UNAUTHORIZED, &HeaderValue::from_static("Bearer")),
                "{sent}"
            );
        }
        assert_eq!(ice.answer(&get(&[])).status(), StatusCode::UNAUTHORIZED);
        for sent in ["Bearer opensesame", "bearer opensesame"] {
            assert_eq!(
                ice.answer(&get(&[("authorization", sent)])).status(),
                StatusCode::OK,
                "{sent}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_is_told_when_to_come_again() {
        let ice = ice(json!({"iceServers": [], "requestsPerMinute": 2, "token": "t"}));
        let from = |address: &str| {
            let mut request = get(&[]);
            request.extensions_mut().insert(PeerAddr(address.parse().expect("an address")));
            request
        };
        // Without the token as well: guessing is limited.
        for port in ["1", "2"] {
            assert_eq!(
                ice.answer(&from(&format!("192.0.2.1:{port}"))).status(),
                StatusCode::UNAUTHORIZED
            );
        }
        let response = ice.answer(&from("192.0.2.1:3"));
        assert_eq!(
            (response.status(), &response.headers()[header::RETRY_AFTER]),
            (StatusCode::TOO_MANY_REQUESTS, &HeaderValue::from_static("30"))
        );
        let error = body(response).await["error"].to_string();
        assert!(error.contains("requestsPerMinute is 2; try again in 30 s"), "{error}");
        assert_eq!(ice.answer(&from("192.0.2.2:1")).status(), StatusCode::UNAUTHORIZED);
        advance(Duration::from_secs(30)).await;
        assert_eq!(ice.answer(&from("192.0.2.1:4")).status(), StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn only_reading_is_allowed() {
        let ice = ice(json!({"iceServers": []}));
        let mut request = get(&[]);
        *request.method_mut() = Method::POST;
        assert_eq!(ice.answer(&request).headers()[header::ALLOW], "GET, HEAD");
        *request.method_mut() = Method::HEAD;
        assert_eq!(ice.answer(&request).status(), StatusCode::OK);
    }
}
