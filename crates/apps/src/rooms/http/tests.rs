//! Requests in memory.

use http_body_util::Full;
use serde_json::{Value, json};

use super::*;
use crate::rooms::RoomsConfig;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn site(rooms: usize) -> RoomsSite {
    RoomsSite::new(Rooms::new(RoomsConfig::new().rooms(rooms)))
}

async fn ask(
    site: &RoomsSite,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<Bytes> {
    assert!(site.serves(path.split('?').next().expect("a path")), "{path}");
    let request =
        headers.iter().fold(Request::builder().method(method).uri(path), |it, (name, value)| {
            it.header(*name, *value)
        });
    site.answer(request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request")).await
}

async fn text(response: Response<Bytes>) -> String {
    let body = response.into_body();
    String::from_utf8(body.to_vec()).expect("text")
}

/// Status and JSON for a program.
async fn told(site: &RoomsSite, method: &str, path: &str, body: &str) -> (u16, Value) {
    let kind = if body.starts_with('{') {
        "application/json"
    } else {
        "application/x-www-form-urlencoded"
    };
    let response = ask(site, method, path, &[("content-type", kind)], body).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    (response.status().as_u16(), serde_json::from_str(&text(response).await).expect("JSON"))
}

/// Status, `Location` and page for a person.
async fn shown(
    site: &RoomsSite,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, Option<String>, String) {
    let response = ask(site, method, path, &[("accept", BROWSER)], body).await;
    let location =
        response.headers().get(header::LOCATION).map(|it| it.to_str().expect("text").to_owned());
    (response.status().as_u16(), location, text(response).await)
}

#[tokio::test]
async fn programs_create_list_enter_and_leave() {
    let site = site(10);
    let room = json!({"room": 7, "participants": 0, "away": 0});
    assert_eq!(told(&site, "GET", "/rooms", "").await, (200, json!({"rooms": [], "limit": 10})));
    assert_eq!(told(&site, "GET", "/room/7", "").await.0, 404);
    assert_eq!(told(&site, "GET", "/room/7/user/ann", "").await.0, 404);
    let created = ask(&site, "POST", "/room", &[], "id=7&uuid=ann&action=create").await;
    assert_eq!(
        (created.status().as_u16(), &created.headers()[header::LOCATION]),
        (201, &HeaderValue::from_static("/room/7"))
    );
    for body in ["id=7", "id=007", r#"{"id":7}"#, r#"{"id":"7"}"#] {
        assert_eq!(told(&site, "POST", "/room", body).await, (200, room.clone()), "{body}");
    }
    assert_eq!(told(&site, "GET", "/room/7/user/ann", "").await, (200, room.clone()));
    assert_eq!(
        told(&site, "GET", "/room/7/user/ann/exit", "").await,
        (200, json!({"room": 7, "left": false}))
    );
    assert_eq!(
        told(&site, "GET", "/rooms", "").await,
        (200, json!({"rooms": [room], "limit": 10}))
    );
    let (status, random) = told(&site, "GET", "/room/random?uuid=ann", "").await;
    assert!(
        status == 200 && random["room"].as_u64().is_some_and(|it| it < 100 && it != 7),
        "{random}"
    );
}

#[tokio::test]
async fn people_are_led_to_the_call() {
    let site = site(10);
    let (status, location, _) = shown(&site, "POST", "/room", "action=create&id=7").await;
    assert_eq!((status, location.as_deref()), (303, Some("/rooms?id=7")));
    let (status, _, page) = shown(&site, "GET", "/rooms?id=7", "").await;
    assert!(
        status == 200 && page.contains("value=\"7\"") && page.contains("/call?room=7"),
        "{page}"
    );
    for (path, onward) in [
        ("/room/7", "/call?room=7"),
        ("/room/7/user/3f2b%20%26x=1", "/call?room=7&name=3f2b%20%26x%3D1"),
        ("/room/7/user/%EC%95%88%22%3E", "/call?room=7&name=%EC%95%88%22%3E"),
        ("/room/7/user/ann/exit", "/rooms"),
    ] {
        assert_eq!(shown(&site, "GET", path, "").await.1.as_deref(), Some(onward), "{path}");
    }
    let (status, _, page) = shown(&site, "GET", "/room/random", "").await;
    assert!(status == 200 && !page.contains("value=\"\""), "a number is in the form");
    let (status, _, page) = shown(&site, "GET", "/room/8/user/ann", "").await;
    assert!(
        status == 404 && page.contains("There is no room 8") && page.contains("value=\"8\""),
        "{page}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_reader_s_form() {
    let site = site(1);
    let control = format!("/room/7/user/{}", "x".repeat(65));
    let large = format!("id={}", "7".repeat(5000));
    for (method, path, body, status, part) in [
        ("GET", "/room/", "", 400, "a room number is an integer"),
        ("GET", "/room/seven", "", 400, "a room number is an integer"),
        ("GET", "/room/-1/user/ann", "", 400, "a room number is an integer"),
        ("GET", "/room/7/user", "", 404, "nothing is served"),
        ("GET", "/room/7/user/ann/exit/", "", 404, "nothing is served"),
        ("GET", "/room/7/user/", "", 400, "a name has"),
        ("GET", "/room/7/user/%ff", "", 400, "a name has"),
        ("GET", "/room/7/user/%0a", "", 400, "a name has"),
        ("GET", &control, "", 400, "a name has"),
        ("GET", "/room", "", 405, "POST only"),
        ("POST", "/rooms", "", 405, "GET, HEAD only"),
        ("DELETE", "/room/7", "", 405, "GET, HEAD only"),
        ("POST", "/room", "", 400, "sent as `id`"),
        ("POST", "/room", "id=", 400, "sent as `id`"),
        ("POST", "/room", "id=1.5", 400, "sent as `id`"),
        ("POST", "/room", "{\"id\":{}}", 400, "sent as `id`"),
        ("POST", "/room", "{\"id\"", 400, "sent as `id`"),
        ("POST", "/room", &large, 413, "larger than 4096 bytes"),
    ] {
        let (answer, json) = told(&site, method, path, body).await;
        let error = json["error"].as_str().expect("an error");
        assert!(
            answer == status && error.contains(part),
            "{method} {path} {body}: {answer} {error}"
        );
        let (answer, _, page) =
            shown(&site, method, path, if body.starts_with('{') { "" } else { body }).await;
        assert!(
            answer == status && page.contains("class=\"trouble\""),
            "{method} {path}: {answer}"
        );
    }
    assert_eq!(ask(&site, "GET", "/room", &[], "").await.headers()[header::ALLOW], "POST");
    assert_eq!(
        ask(&site, "GET", "/room", &[("accept", BROWSER)], "").await.headers()[header::ALLOW],
        "POST"
    );
    assert!(!site.serves("/roomful") && !site.serves("/rooms/") && !site.serves("/"));
}

/// A page of any site has a form that sends itself, or a picture whose address is that of an exit:
/// its visitors filled the list of rooms.
#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let site = site(10);
    let host = ("host", "rooms.example");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let requests = [("POST", "/room", "id=7"), ("GET", "/room/7/user/ann/exit", "")];
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for (method, path, body) in requests {
            let answer = ask(&site, method, path, &[host, form, foreign], body).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {path}, {foreign:?}");
            assert!(text(answer).await.contains("a page of another site"), "{foreign:?}");
        }
    }
    assert_eq!(told(&site, "GET", "/rooms", "").await.1["rooms"], json!([]));
    for own in
        [("sec-fetch-site", "same-origin"), ("origin", "https://rooms.example"), ("accept", "*/*")]
    {
        for (method, path, body) in requests {
            let status = ask(&site, method, path, &[host, form, own], body).await.status();
            assert!(status.is_success(), "{method} {path}, {own:?}: {status}");
        }
    }
    // What only shows is open to links from everywhere.
    let linked =
        ask(&site, "GET", "/room/7/user/ann", &[host, ("sec-fetch-site", "cross-site")], "").await;
    assert_eq!(linked.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_not_waited_for_for_ever() {
    /// A body that never comes.
    struct Never;
    impl http_body::Body for Never {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
    let request = Request::post("/room").body(Never).expect("a request");
    assert_eq!(site(1).answer(request).await.status(), StatusCode::REQUEST_TIMEOUT);
}

#[test]
fn readers_are_told_apart_by_what_they_accept() {
    for (accept, reader) in [
        (BROWSER, Reader::Person),
        ("text/html", Reader::Person),
        ("application/json;q=0.5, TEXT/HTML;q=0.6", Reader::Person),
        ("", Reader::Program),
        ("*/*", Reader::Program),
        ("application/json", Reader::Program),
        ("application/json, text/html;q=0.9", Reader::Program),
        ("text/html;q=0", Reader::Program),
        ("text/html;q=high", Reader::Program),
    ] {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(Reader::of(&headers), reader, "{accept}");
    }
    assert_eq!(Reader::of(&HeaderMap::new()), Reader::Program);
}
