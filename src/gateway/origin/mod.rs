//! Whose pages may use an endpoint.

mod list;
mod site;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use http::Uri;
use http::header::{self, HeaderMap, HeaderValue};

pub use self::list::OriginError;
use self::list::Pattern;
pub use self::site::is_foreign;
use self::site::{Origin, Site, host};
use super::route::{Resource, Route};
use crate::escape::Escaped;

/// Whose pages may use an endpoint, for
/// [`EndpointConfig::origins`](crate::EndpointConfig::origins): those of any origin, of the
/// endpoint's own, of a list, or those that a function admits. The default is
/// [`same_origin`](Self::same_origin).
///
/// A browser sends its user's cookies with the requests of every page. So an endpoint that admits
/// a page lets that page speak for the user. Pages of the endpoint's own origin always pass.
///
/// ```
/// use sockeye::{EndpointConfig, Origins};
///
/// let origins = Origins::list(["https://app.example.org", "https://*.example.net"])?;
/// let config = EndpointConfig::new().origins(origins);
///
/// let error = Origins::list(["https://example.org/chat"]).unwrap_err();
/// assert!(error.to_string().ends_with(r#"write "https://example.org""#));
/// # Ok::<(), sockeye::OriginError>(())
/// ```
///
/// # What passes
///
/// | the request | passes |
/// |---|---|
/// | `Sec-Fetch-Site: same-origin`: the browser says so, whatever `Host` a proxy has put there | always |
/// | has an `Origin` | if that is the origin of its `Host`, default ports left out, or is admitted; `null` is never the host's |
/// | has no `Origin`, but a `Referer` | if that page's origin passes as an `Origin` would |
/// | has neither, but another `Sec-Fetch-` header: a browser that hides the page | to no transport; `/info`, when the user typed its address |
/// | has none of them: a client that is no browser | but for `jsonp`, `jsonp_send` and `htmlfile`, which a page of any site can load |
///
/// An `Origin` is foreign too where `Sec-Fetch-Site` says `same-site` or `cross-site`: a page of
/// `http://a` is a stranger to `https://a`, and has the same `Host`.
///
/// All others are answered with 403: the upgrade, every transport, preflights, and `/info`. The
/// answer and a warning name the origin and the host, and tell what to write. The page of the
/// iframe transports carries `frame-ancestors` with the endpoint's own origin and the list; with a
/// [`predicate`](Self::predicate), its own alone, and the iframe transports of other pages stay
/// shut.
#[derive(Clone)]
pub struct Origins(Policy);

#[derive(Clone)]
enum Policy {
    Any,
    Same,
    List(Arc<[Pattern]>),
    Predicate(Arc<Admits>),
}

type Admits = dyn Fn(&str, &HeaderMap) -> bool + Send + Sync;

impl Origins {
    /// Pages of every origin, as sockjs-node has it. Right for endpoints that give each visitor
    /// the same, whatever cookies the visitor has.
    pub fn any() -> Self {
        Self(Policy::Any)
    }

    /// Pages of the endpoint's own origin.
    pub fn same_origin() -> Self {
        Self(Policy::Same)
    }

    /// Pages of these origins, beside those of the endpoint's own.
    ///
    /// Each is a scheme, a host and, unless it is the scheme's own, a port:
    /// `https://app.example.org`, `http://localhost:3000`, `capacitor://localhost`.
    /// `https://*.example.org` are all subdomains, at any depth, without `example.org` itself.
    ///
    /// # Errors
    ///
    /// The first that no browser could send. The error tells what to write.
    pub fn list<S: AsRef<str>>(origins: impl IntoIterator<Item = S>) -> Result<Self, OriginError> {
        let list = origins.into_iter().map(|origin| origin.as_ref().parse());
        Ok(Self(Policy::List(list.collect::<Result<_, _>>()?)))
    }

    /// Pages that a function admits, beside those of the endpoint's own origin.
    ///
    /// It gets the origin, as the browser writes it (`https://app.example.org`, also `null`), and
    /// the head of the request. It is asked at every request from other origins, and must not
    /// block.
    ///
    /// ```
    /// use sockeye::Origins;
    ///
    /// let origins = Origins::predicate(|origin, _| origin.ends_with(".app.example.org"));
    /// ```
    pub fn predicate(admits: impl Fn(&str, &HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        Self(Policy::Predicate(Arc::new(admits)))
    }

    pub(super) fn is_any(&self) -> bool {
        matches!(self.0, Policy::Any)
    }

    /// Whether a request to this route comes from a page that may use the endpoint, or from no
    /// browser.
    pub(super) fn admit(
        &self,
        route: Route<'_>,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Foreign> {
        if self.is_any() {
            return Ok(());
        }
        let site = Site::of(headers);
        if site == Site::Same {
            return Ok(());
        }
        let claim = Claim::of(headers);
        let passes = match &claim {
            Claim::Origin(origin) => self.lets_in(origin, site, uri, headers),
            Claim::Unreadable => false,
            // The user typed the address: no page can ask for that.
            Claim::Nothing if site == Site::None => matches!(route, Route::Info),
            Claim::Nothing if is_from_browser(headers) => false,
            Claim::Nothing => !is_loaded(route),
        };
        if passes { Ok(()) } else { Err(Foreign::new(&claim, uri, headers)) }
    }

    fn lets_in(&self, text: &str, site: Site, uri: &Uri, headers: &HeaderMap) -> bool {
        let origin = Origin::parse(text);
        let is_own = |origin: &Origin<'_>| site != Site::Other && origin.is_of(host(uri, headers));
        if origin.as_ref().is_some_and(is_own) {
            return true;
        }
        match &self.0 {
            Policy::Any => true,
            Policy::Same => false,
            Policy::List(list) => {
                origin.is_some_and(|origin| list.iter().any(|pattern| pattern.matches(&origin)))
            }
            Policy::Predicate(admits) => admits(text, headers),
        }
    }

    /// `Content-Security-Policy` for a page that only admitted pages may put into a frame.
    pub(super) fn frame_policy(&self) -> Option<HeaderValue> {
        let mut policy = String::from("frame-ancestors 'self'");
        match &self.0 {
            Policy::Any => return None,
            Policy::Same | Policy::Predicate(_) => {}
            Policy::List(list) => {
                for pattern in list.iter() {
                    policy.push(' ');
                    policy.push_str(&pattern.to_string());
                }
            }
        }
        Some(HeaderValue::try_from(policy).expect("parsed origins are ASCII without controls"))
    }
}

// A predicate that panics breaks no state but its own: configurations stay fit for `catch_unwind`.
impl UnwindSafe for Origins {}
impl RefUnwindSafe for Origins {}

impl Default for Origins {
    fn default() -> Self {
        Self::same_origin()
    }
}

/// As settings are written: `any`, `same-origin`, or the list, with commas between; `predicate` for
/// a function.
impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Policy::Any => f.write_str("any"),
            Policy::Same => f.write_str("same-origin"),
            Policy::List(list) => {
                for (index, pattern) in list.iter().enumerate() {
                    write!(f, "{}{pattern}", if index > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
            Policy::Predicate(_) => f.write_str("predicate"),
        }
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origins({self})")
    }
}

/// The origin of the page that a request names.
enum Claim<'h> {
    /// By `Origin`, else by `Referer`, which a page can hide and not forge.
    Origin(&'h str),
    /// More than one, or no text.
    Unreadable,
    Nothing,
}

impl<'h> Claim<'h> {
    fn of(headers: &'h HeaderMap) -> Self {
        let the_only = |name| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (None, _) => None,
                (Some(value), None) => Some(value.to_str().ok()),
                (Some(_), Some(_)) => Some(None),
            }
        };
        match the_only(header::ORIGIN) {
            Some(origin) => origin.map_or(Self::Unreadable, Self::Origin),
            None => match the_only(header::REFERER) {
                Some(page) => page.and_then(site::origin_of).map_or(Self::Unreadable, Self::Origin),
                None => Self::Nothing,
            },
        }
    }
}

/// Transports that pages load as scripts and frames, which browsers let them do across origins
/// without an `Origin`.
fn is_loaded(route: Route<'_>) -> bool {
    let Route::Session { resource, .. } = route else { return false };
    matches!(resource, Resource::Jsonp | Resource::JsonpSend | Resource::HtmlFile)
}

fn is_from_browser(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// A request that an endpoint's origins don't admit. `Display` is the answer's text.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    pub(super) origin: Box<str>,
    pub(super) host: Box<str>,
    remedy: Remedy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    List,
    Open,
    Tell,
}

impl Foreign {
    fn new(claim: &Claim<'_>, uri: &Uri, headers: &HeaderMap) -> Self {
        // Longer than any origin, and short enough for a log line.
        const MOST: usize = 256;
        let shown = |text: &str| {
            let escaped = Escaped(text).to_string();
            match escaped.char_indices().nth(MOST) {
                Some((at, _)) => format!("{}…", &escaped[..at]).into_boxed_str(),
                None => escaped.into_boxed_str(),
            }
        };
        let (origin, remedy) = match claim {
            Claim::Origin("null") => ("null", Remedy::Open),
            // Unescaped and whole, it is what to write.
            Claim::Origin(origin) if origin.parse::<Pattern>().is_ok() => (*origin, Remedy::List),
            Claim::Origin(origin) => (*origin, Remedy::Open),
            Claim::Unreadable | Claim::Nothing => ("", Remedy::Tell),
        };
        Self { origin: shown(origin), host: shown(host(uri, headers).unwrap_or_default()), remedy }
    }

    /// What to write, for the answer and for the log.
    pub(super) fn remedy(&self) -> impl fmt::Display {
        let origin = &self.origin;
        match self.remedy {
            Remedy::List => format!(
                "to admit its pages, list \"{origin}\" in the endpoint's `origins` (--origin {origin})"
            ),
            Remedy::Open => "no list can name this origin: to admit its pages, set the endpoint's `origins` to any (--origin any)".to_owned(),
            Remedy::Tell => "a browser tells the page by Origin or Referer, unless its Referrer-Policy hides it: send the Referer, or set the endpoint's `origins` to any (--origin any)".to_owned(),
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, host, remedy } = self;
        match remedy {
            Remedy::Tell => {
                writeln!(
                    f,
                    "Forbidden: the request does not tell which page of host \"{host}\" sends it."
                )?;
            }
            Remedy::List | Remedy::Open => {
                writeln!(
                    f,
                    "Forbidden: the origin \"{origin}\" is not that of the host \"{host}\", and not admitted."
                )?;
            }
        }
        writeln!(f, "Remedy: {}.", self.remedy())
    }
}

#[cfg(test)]
mod tests;
