//! Rooms over HTTP: JSON for programs, pages for people.

mod page;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use self::page::Shown;
use super::name::named;
use super::{RoomNumber, RoomNumberError, RoomSummary, Rooms, TooManyRooms};
use sockeye::is_foreign;

/// Lists, creates, enters and leaves rooms over HTTP.
///
/// | request | what | for programs | for people |
/// |---|---|---|---|
/// | `GET /rooms` | all rooms | `{"rooms": [ROOM, …], "limit": 1000}` | a page, with the number `?id=` in its form |
/// | `POST /room` | create the room `id` | 201, or 200 if it exists: `ROOM` | back to `/rooms` |
/// | `GET /room/random` | a number that no room has | `{"room": 42}` | the page, with that number in its form |
/// | `GET /room/{id}` | one room | `ROOM` | on to the call |
/// | `GET /room/{id}/user/{name}` | enter | `ROOM` | on to the call, under that name |
/// | `GET /room/{id}/user/{name}/exit` | leave | `{"room": 7, "left": true}` | back to `/rooms` |
///
/// `ROOM` is `{"room": 7, "participants": 2, "away": 0}`. `POST` takes a form
/// (`id=7&action=create`) or JSON (`{"id": 7}`). `Accept` tells programs and people apart: a client
/// that names `text/html`, and not `application/json` before it, gets pages. Errors for programs
/// are `{"error": text}`.
///
/// Entering over HTTP answers with the room's address and makes no participant, which takes a
/// session. Leaving removes a participant of protocol 1 whose transport is gone. A connected
/// participant leaves by its own session, since any client can guess this path.
///
/// Creating and leaving change something, so both are answered with 403 when a page of another
/// origin causes the request: a form or a link of any site could send it. The check reads
/// `Sec-Fetch-Site`, or compares `Origin` with `Host`; programs send neither.
#[derive(Clone, Debug)]
pub struct RoomsSite {
    rooms: Rooms,
}

impl RoomsSite {
    /// Shows these rooms.
    pub fn new(rooms: Rooms) -> Self {
        Self { rooms }
    }

    /// Whether a path is one of those in the table, or below `/room/`.
    pub fn serves(&self, path: &str) -> bool {
        path == "/rooms" || path == "/room" || path.starts_with("/room/")
    }

    /// Answers a request for such a path.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; a room whose creation was being asked for may exist or not.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Bytes>
    where
        B: http_body::Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let (parts, body) = request.into_parts();
        let reader = Reader::of(&parts.headers);
        let reply = match self.act(&parts, body).await {
            Ok(reply) => reply,
            Err(problem) => self.error(problem),
        };
        let mut response = match reader {
            Reader::Program => reply.for_programs(),
            Reader::Person => self.for_people(reply),
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    async fn act<B>(&self, request: &Parts, body: B) -> Result<Reply, Problem>
    where
        B: http_body::Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let Parts { method, uri, headers, .. } = request;
        let route: Route = uri.path().parse()?;
        let allowed: &[Method] =
            if route == Route::Create { &[Method::POST] } else { &[Method::GET, Method::HEAD] };
        if !allowed.contains(method) {
            return Err(Problem::Method(if route == Route::Create { "POST" } else { "GET, HEAD" }));
        }
        if route.changes_rooms() && is_foreign(uri, headers) {
            return Err(Problem::Foreign);
        }
        match route {
            Route::List => Ok(self.list(uri.query())),
            Route::Random => {
                let room = self.rooms.random_free();
                Ok(Reply::page(&Numbered { room }, Some(room)))
            }
            Route::Create => {
                let room = wanted(headers, body).await?;
                let created = self.rooms.create(room).map_err(Problem::TooMany)?;
                let status = if created { StatusCode::CREATED } else { StatusCode::OK };
                let reply = Reply::redirect(&self.summary(room)?, format!("/rooms?id={room}"));
                Ok(Reply { status, location: created.then(|| format!("/room/{room}")), ..reply })
            }
            Route::Show { room } => {
                Ok(Reply::redirect(&self.summary(room)?, format!("/call?room={room}")))
            }
            Route::Enter { room, name } => {
                let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
                Ok(Reply::redirect(&self.summary(room)?, format!("/call?room={room}&name={name}")))
            }
            Route::Exit { room, name } => {
                let left = self.rooms.leave(room, &name);
                Ok(Reply::redirect(&Left { room, left }, "/rooms".to_owned()))
            }
        }
    }

    fn list(&self, query: Option<&str>) -> Reply {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        // A number that is none leaves the form empty.
        let filled =
            pairs.filter(|(name, _)| name == "id").find_map(|(_, value)| value.parse().ok());
        Reply::page(&List { rooms: self.rooms.list(), limit: self.rooms.config().rooms }, filled)
    }

    fn summary(&self, room: RoomNumber) -> Result<RoomSummary, Problem> {
        self.rooms.summary(room).ok_or(Problem::NoRoom(room))
    }

    fn error(&self, problem: Problem) -> Reply {
        #[derive(Serialize)]
        struct ErrorBody {
            error: String,
        }
        let filled = match problem {
            Problem::NoRoom(room) => Some(room),
            _ => None,
        };
        let allow = match problem {
            Problem::Method(methods) => Some(methods),
            _ => None,
        };
        let reply = Reply::page(&ErrorBody { error: problem.to_string() }, filled);
        Reply { status: problem.status(), notice: Some(problem.for_people()), allow, ..reply }
    }

    fn for_people(&self, reply: Reply) -> Response<Bytes> {
        if let Some(location) = reply.onward {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, value(&location));
            return response;
        }
        let shown = Shown { filled: reply.filled, notice: reply.notice };
        let page = page::rooms(&self.rooms.list(), &shown, self.rooms.config().empty_room);
        let mut response = whole(reply.status, "text/html; charset=utf-8", page.into());
        let policy = "default-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'; object-src 'none'";
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        allow(&mut response, reply.allow);
        response
    }
}

/// The resource on each path.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    List,
    Create,
    Random,
    Show { room: RoomNumber },
    Enter { room: RoomNumber, name: Box<str> },
    Exit { room: RoomNumber, name: Box<str> },
}

impl Route {
    fn changes_rooms(&self) -> bool {
        matches!(self, Self::Create | Self::Exit { .. })
    }
}

impl FromStr for Route {
    type Err = Problem;

    fn from_str(path: &str) -> Result<Self, Problem> {
        let segments: Vec<_> = path.split('/').skip(1).collect();
        match *segments {
            ["rooms"] => Ok(Self::List),
            ["room"] => Ok(Self::Create),
            ["room", "random"] => Ok(Self::Random),
            ["room", room] => Ok(Self::Show { room: room.parse()? }),
            ["room", room, "user", name] => {
                Ok(Self::Enter { room: room.parse()?, name: decoded(name)? })
            }
            ["room", room, "user", name, "exit"] => {
                Ok(Self::Exit { room: room.parse()?, name: decoded(name)? })
            }
            _ => Err(Problem::NoPath),
        }
    }
}

fn decoded(segment: &str) -> Result<Box<str>, Problem> {
    let name = percent_decode_str(segment).decode_utf8().map_err(|_| Problem::Name)?;
    named(name.into()).map_err(|_| Problem::Name)
}

/// The number of the room to create.
async fn wanted<B>(headers: &HeaderMap, body: B) -> Result<RoomNumber, Problem>
where
    B: http_body::Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    #[derive(Deserialize)]
    struct Wanted {
        id: RoomNumber,
    }
    // A client that sends it slowly must not hold the request forever.
    let whole = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_SIZE).collect()).await;
    let body = whole.map_err(|_| Problem::Slow)?.map_err(|error| {
        match error.downcast_ref::<LengthLimitError>() {
            Some(_) => Problem::Large,
            None => Problem::Body,
        }
    })?;
    let body = body.to_bytes();
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json {
        return serde_json::from_slice(&body).map(|Wanted { id }| id).map_err(|_| Problem::Number);
    }
    let mut pairs = form_urlencoded::parse(&body);
    let id =
        pairs.find_map(|(name, value)| (name == "id").then_some(value)).ok_or(Problem::Number)?;
    Ok(id.trim().parse()?)
}

const BODY_SIZE: usize = 4 * 1024;
const BODY_TIME: Duration = Duration::from_secs(10);

/// Why a request gets no room.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("nothing is served on this path: see /rooms")]
    NoPath,
    #[error("this path takes {0} only")]
    Method(&'static str),
    #[error("{RoomNumberError}; it is sent as `id`")]
    Number,
    #[error("a name has 1 to 64 characters, none of them a control character")]
    Name,
    #[error(
        "a page of another site has sent this; rooms are created and left from pages of this one: see /rooms"
    )]
    Foreign,
    #[error("there is no room {0}; create it, if you like")]
    NoRoom(RoomNumber),
    #[error("{0}; try again when one is empty")]
    TooMany(TooManyRooms),
    #[error("the body is larger than {BODY_SIZE} bytes")]
    Large,
    #[error("the body did not arrive within {} s", BODY_TIME.as_secs())]
    Slow,
    #[error("the body did not arrive whole")]
    Body,
}

impl From<RoomNumberError> for Problem {
    fn from(_: RoomNumberError) -> Self {
        Self::Number
    }
}

impl Problem {
    /// The same for the page: what happened, and what to do.
    fn for_people(&self) -> String {
        match self {
            Self::NoPath => "There is no page here. These are the rooms.".to_owned(),
            Self::Method(_) => "Rooms are created with the form below.".to_owned(),
            Self::Number => format!(
                "A room has a number from 0 to {}, in digits only. Press “Random one” for a free one.",
                RoomNumber::MAX
            ),
            Self::Name => "A name has up to 64 characters, and no line breaks.".to_owned(),
            Self::Foreign => {
                "Another site has sent you here to create or to leave a room, so nothing was changed. \
                 Use this page for it."
                    .to_owned()
            }
            Self::NoRoom(room) => {
                format!("There is no room {room}. Press “Create it” to make it.")
            }
            Self::TooMany(_) => {
                "All rooms of this server are in use. Enter one of those below, or try again when one is empty."
                    .to_owned()
            }
            Self::Large | Self::Slow | Self::Body => {
                "The form did not arrive as it should. Send it again.".to_owned()
            }
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoPath | Self::NoRoom(_) => StatusCode::NOT_FOUND,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Number | Self::Name | Self::Body => StatusCode::BAD_REQUEST,
            Self::TooMany(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Large => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// The kind of reader of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Program,
    Person,
}

impl Reader {
    fn of(headers: &HeaderMap) -> Self {
        let accepts = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect::<Vec<_>>()
            .join(",");
        let (html, json) = (quality(&accepts, "text/html"), quality(&accepts, "application/json"));
        if html > 0.0 && html >= json { Self::Person } else { Self::Program }
    }
}

/// The quality of a type that is named in full (RFC 9110, Accept).
fn quality(accepts: &str, kind: &str) -> f32 {
    let of_range = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().filter(|name| name.eq_ignore_ascii_case(kind))?;
        Some(
            parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |q| q.parse().unwrap_or(0.0)),
        )
    };
    accepts.split(',').filter_map(of_range).fold(0.0, f32::max)
}

/// The content of an answer, for both kinds of readers.
struct Reply {
    status: StatusCode,
    json: Vec<u8>,
    /// Where the new thing is.
    location: Option<String>,
    /// Where people go from here; nowhere: they get the page.
    onward: Option<String>,
    filled: Option<RoomNumber>,
    notice: Option<String>,
    allow: Option<&'static str>,
}

impl Reply {
    fn page(json: &impl Serialize, filled: Option<RoomNumber>) -> Self {
        let json = serde_json::to_vec(json).expect("texts and numbers have a JSON form");
        Self {
            status: StatusCode::OK,
            json,
            location: None,
            onward: None,
            filled,
            notice: None,
            allow: None,
        }
    }

    fn redirect(json: &impl Serialize, onward: String) -> Self {
        Self { onward: Some(onward), ..Self::page(json, None) }
    }

    fn for_programs(self) -> Response<Bytes> {
        let mut response = whole(self.status, "application/json", self.json.into());
        if let Some(location) = &self.location {
            response.headers_mut().insert(header::LOCATION, value(location));
        }
        allow(&mut response, self.allow);
        response
    }
}

#[derive(Serialize)]
struct List {
    rooms: Vec<RoomSummary>,
    limit: usize,
}

#[derive(Serialize)]
struct Numbered {
    room: RoomNumber,
}

#[derive(Serialize)]
struct Left {
    room: RoomNumber,
    left: bool,
}

fn whole(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn allow(response: &mut Response<Bytes>, methods: Option<&'static str>) {
    if let Some(methods) = methods {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    }
}

fn value(location: &str) -> HeaderValue {
    HeaderValue::from_str(location).expect("made of constants, digits and percent-encoded names")
}
