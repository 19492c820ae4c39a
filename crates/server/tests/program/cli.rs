//! The program from outside: arguments, output on each stream, exit codes, pages, signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

pub(super) fn sockeye(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A running server, killed when the test ends.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) stdout: BufReader<ChildStdout>,
    pub(super) addr: SocketAddr,
}

impl Running {
    pub(super) fn start(arguments: &[&str]) -> Self {
        Self::spawn(&mut sockeye(&[arguments, &["--listen", "127.0.0.1:0"]].concat()))
    }

    pub(super) fn spawn(command: &mut Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    pub(super) fn spawn_with(command: &mut Command, stderr: Stdio) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("stdout is readable");
        let addr = line.strip_prefix("listening on http://").expect("the first line tells the URL");
        let addr = addr.trim_end().parse().expect("an address with the real port");
        Self { child, stdout, addr }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).expect("the server accepts");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout above zero");
        stream
    }

    pub(super) fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.exchange(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
            self.addr
        ))
    }

    pub(super) fn post(&self, path: &str, body: &str) -> Answer {
        let head =
            format!("Host: {}\r\nConnection: close\r\nContent-Length: {}", self.addr, body.len());
        self.exchange(&format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n{body}"))
    }

    pub(super) fn exchange(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("the request leaves");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer, then the end");
        let bytes = text(&bytes);
        let (head, body) = bytes.split_once("\r\n\r\n").expect("a head");
        Answer { head: head.to_owned(), body: body.to_owned() }
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "")
    }

    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs").success()
        );
    }

    pub(super) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().expect("the server ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as the test wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Runs to the end, for arguments that are not expected to serve.
fn run(arguments: &[&str]) -> Output {
    sockeye(arguments).output().expect("the binary starts")
}

/// The one line on stderr with which the program refused to start, with exit code 2 and nothing on
/// stdout.
fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    stderr.trim_end().to_owned()
}

#[test]
fn an_app_that_does_not_exist_is_answered_with_those_that_do() {
    assert_eq!(
        refusal(&["--endpoint", "/talk=chatt"]),
        "error: invalid value '/talk=chatt' for '--endpoint <PREFIX=APP>': \
         there is no app \"chatt\": choose one of echo, broadcast, chat, relay, rooms, stamp, upstream=URL"
    );
}

#[test]
fn a_malformed_prefix_is_answered_with_what_to_write() {
    for (endpoint, remedy) in [
        ("talk=chat", "write \"/talk\""),
        ("/talk/=chat", "write \"/talk\""),
        ("/=chat", "name a segment, for example \"/sockjs\""),
        ("=chat", "name a segment, for example \"/sockjs\""),
        ("/a b=chat", "write \"%20\""),
        ("/talk", "write PREFIX=APP, for example /talk=chat"),
        ("/healthz=echo", "choose another prefix"),
        ("/readyz=echo", "choose another prefix"),
        ("/static/lib=echo", "choose another prefix"),
        ("/ice=echo", "choose another prefix"),
        ("/rooms=rooms", "choose another prefix"),
        ("/room/7=rooms", "choose another prefix"),
    ] {
        let line = refusal(&["serve", "--endpoint", endpoint]);
        assert!(line.ends_with(remedy), "{line}");
    }
}

#[test]
fn a_prefix_given_twice_is_refused() {
    let line = refusal(&["--endpoint", "/a=echo", "--endpoint", "/a=chat"]);
    assert_eq!(line, "error: --endpoint names /a twice: leave one of them out");
}

#[test]
fn an_address_that_is_none_is_answered_with_examples() {
    for addr in ["8080", "localhost:8080", "127.0.0.1", "127.0.0.1:65536", "::1:8080", ""] {
        let line = refusal(&[&format!("--listen={addr}")]);
        assert!(line.contains("'--listen <IP:PORT>'"), "{line}");
        assert!(line.ends_with("for example 127.0.0.1:8080, 0.0.0.0:80 or [::1]:8080"), "{line}");
    }
}

#[test]
fn other_bad_values_are_one_line_too() {
    assert!(
        refusal(&["--heartbeat-delay", "0"])
            .ends_with("for example \"25s\", \"500ms\" or \"1h 30min\"")
    );
    assert!(refusal(&["--log", "sockeye=loud"]).contains("off, error, warn, info, debug or trace"));
}

#[test]
fn an_unknown_option_is_answered_with_the_one_that_was_meant() {
    let output = run(&["--listne", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("'--listen'"), "{output:?}");
}

#[test]
fn a_port_in_use_is_refused_with_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("bound");
    let line = refusal(&["--listen", &addr.to_string()]);
    assert!(
        line.starts_with(&format!("error: cannot listen on {addr}: Address already in use")),
        "{line}"
    );
    let remedy = format!(
        "stop the program that listens on port {}, or choose another port with --listen",
        addr.port()
    );
    assert!(line.ends_with(&remedy), "{line}");
}

#[test]
fn an_upstream_needs_the_url_of_a_websocket() {
    let refusal = |app: &str| refusal(&["--endpoint", &format!("/app={app}")]);
    assert!(
        refusal("upstream")
            .ends_with("upstream needs its backend: write upstream=ws://host:port/path")
    );
    assert!(
        refusal("upstream=http://x/")
            .contains("\"http://x/\" is no URL of a WebSocket: write ws://host:port/path")
    );
}

#[test]
fn a_tcp_listener_needs_an_address_and_an_app() {
    for argument in ["127.0.0.1:9999", "chat", "127.0.0.1=chat", "127.0.0.1:9999=rooms"] {
        let line = refusal(&["--tcp", argument]);
        assert!(
            line.ends_with("where APP is chat or echo, for example 127.0.0.1:9999=chat"),
            "{line}"
        );
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("bound");
    let line = refusal(&["--tcp", &format!("{addr}=chat")]);
    assert!(line.ends_with("or choose another port with --tcp"), "{line}");
}

/// A record of the TCP listeners: two bytes of length, and the text.
fn record(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

#[test]
fn tcp_clients_and_pages_meet_in_the_same_chat() {
    let mut server = Running::start(&["--tcp", "127.0.0.1:0=chat", "--tcp", "127.0.0.1:0=echo"]);
    let mut addr_of = |app: &str| -> SocketAddr {
        let mut line = String::new();
        while !(line.contains("tcp://") && line.trim_end().ends_with(app)) {
            line.clear();
            assert!(
                server.stdout.read_line(&mut line).expect("stdout is readable") > 0,
                "no listener for {app}"
            );
        }
        let addr = line.trim().trim_start_matches("tcp://").split(' ').next().expect("an address");
        addr.parse().expect("an address with the real port")
    };
    let (chat, echo) = (addr_of("chat"), addr_of("echo"));

    let mut client = TcpStream::connect(echo).expect("the listener accepts");
    client.write_all(&record("hi")).expect("the record leaves");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("the echo, and the end");
    assert_eq!(answer, record("[ECHO]hi(from Server!)"));

    assert_eq!(server.post("/ws/000/page/xhr", "").body, "o\n");
    let mut client = TcpStream::connect(chat).expect("the listener accepts");
    client.write_all(&[record("duke"), record("[duke]hello")].concat()).expect("the records leave");
    let mut heard = String::new();
    while !heard.contains("hello") {
        heard.push_str(&server.post("/ws/000/page/xhr", "").body);
    }
    assert!(heard.contains(r#"\"name\":\"duke\",\"message\":\"hello\""#), "{heard}");
}

#[test]
fn an_address_of_no_interface_is_refused_with_the_remedy() {
    // TEST-NET-1 (RFC 5737): assigned to no host.
    let line = refusal(&["--listen", "192.0.2.1:8080"]);
    assert!(line.ends_with("listen on all with --listen 0.0.0.0:8080"), "{line}");
}

#[test]
fn an_option_before_the_command_is_sent_behind_it() {
    let line = refusal(&["--listen", "127.0.0.1:0", "serve"]);
    assert!(
        line.ends_with(
            "cannot be used with '--listen <IP:PORT>': write the options behind the command"
        ),
        "{line}"
    );
}

#[test]
fn help_and_version_go_to_stdout() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    for word in [
        "serve",
        "--listen",
        "--endpoint",
        "echo",
        "broadcast",
        "chat",
        "/ws=chat",
        "/signal=rooms",
        "--ice",
    ] {
        assert!(help.contains(word), "{word} is missing in:\n{help}");
    }

    let version = run(&["--version"]);
    assert!(version.status.success());
    assert_eq!(text(&version.stdout), concat!("sockeye ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn what_is_served_is_announced_and_listed() {
    let mut server = Running::start(&[
        "--endpoint",
        "/talk=chat",
        "--endpoint",
        "/ws=echo",
        "--heartbeat-delay",
        "12.5",
    ]);

    let endpoints = server.get("/endpoints.json");
    assert_eq!(endpoints.status(), 200);
    assert_eq!(endpoints.header("content-type"), Some("application/json"));
    let listed: serde_json::Value = serde_json::from_str(&endpoints.body).expect("JSON");
    let listed = listed.as_array().expect("an array");
    let help = text(&run(&["--help"]).stdout);
    let expected = [
        ("/echo", "echo"),
        ("/broadcast", "broadcast"),
        ("/ws", "echo"),
        ("/socket", "relay"),
        ("/signal", "rooms"),
        ("/talk", "chat"),
    ];
    assert_eq!(listed.len(), expected.len());
    for (endpoint, (prefix, app)) in listed.iter().zip(expected) {
        assert_eq!((&endpoint["prefix"], &endpoint["app"]), (&prefix.into(), &app.into()));
        let about = endpoint["about"].as_str().expect("text");
        assert!(help.contains(&format!("{app:<13} {about}")), "{endpoint}");
        assert_eq!(endpoint["heartbeat_delay"], 12.5, "clients watch for it");
    }
    for path in ["/echo", "/broadcast", "/ws", "/socket", "/signal", "/talk"] {
        let greeting = server.get(path);
        assert_eq!((greeting.status(), &*greeting.body), (200, "Welcome to SockJS!\n"), "{path}");
    }

    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0));
    let mut announced = String::new();
    server.stdout.read_to_string(&mut announced).expect("UTF-8");
    let lines = [
        "/ page",
        "/chat page",
        "/call page",
        "/call page",
        "/rooms page",
        "/echo echo",
        "/ws echo",
        "/socket relay",
        "/signal rooms",
    ];
    for line in lines.into_iter().chain([
        "/talk chat",
        "/ice ICE servers",
        "/healthz health",
        "/readyz readiness",
    ]) {
        let found =
            announced.lines().any(|announced| announced.split_whitespace().eq(line.split(' ')));
        assert!(found, "{line} is missing in:\n{announced}");
    }
}

/// Opens a session, sends it one payload, and gives the frame that comes back.
fn reply(server: &Running, prefix: &str, payload: &str) -> String {
    assert_eq!(server.post(&format!("{prefix}/000/one/xhr"), "").body, "o\n");
    let sent = server.post(&format!("{prefix}/000/one/xhr_send"), payload);
    assert_eq!(sent.status(), 204, "{sent:?}");
    server.post(&format!("{prefix}/000/one/xhr"), "").body
}

#[test]
fn each_app_does_what_it_is_named_for() {
    let server = Running::start(&["--endpoint", "/talk=chat"]);
    assert_eq!(reply(&server, "/echo", r#"["hello"]"#), "a[\"hello\"]\n");
    assert_eq!(reply(&server, "/broadcast", r#"["hello"]"#), "a[\"hello\"]\n");
    for prefix in ["/ws", "/talk"] {
        let said = reply(&server, prefix, r#"["{\"message\":\"hello\"}"]"#);
        assert!(
            said.contains(r#"\"name\":"#) && said.contains(r#"\"message\":\"hello\""#),
            "{said}"
        );
    }
}

#[test]
fn a_relay_sends_to_the_others_and_never_back() {
    let server = Running::start(&[]);
    for session in ["one", "two"] {
        assert_eq!(server.post(&format!("/socket/000/{session}/xhr"), "").body, "o\n");
    }
    assert_eq!(server.post("/socket/000/one/xhr_send", r#"["from one"]"#).status(), 204);
    assert_eq!(server.post("/socket/000/two/xhr_send", r#"["from two"]"#).status(), 204);
    assert_eq!(server.post("/socket/000/one/xhr", "").body, "a[\"from two\"]\n");
    assert_eq!(server.post("/socket/000/two/xhr", "").body, "a[\"from one\"]\n");
}

/// A participant that joins over `/signal` is listed over HTTP; another endpoint has rooms of its
/// own.
#[test]
fn rooms_are_shared_by_signaling_and_http() {
    let server = Running::start(&["--endpoint", "/other=rooms"]);
    assert_eq!(server.get("/rooms").body, r#"{"rooms":[],"limit":1000}"#);
    let welcome = reply(&server, "/signal", r#"["{\"type\":\"join\",\"protocol\":2,\"room\":7}"]"#);
    assert!(welcome.starts_with(r#"a["{\"type\":\"welcome\",\"room\":7,"#), "{welcome}");
    let welcome = reply(&server, "/other", r#"["{\"type\":\"join\",\"protocol\":2,\"room\":8}"]"#);
    assert!(welcome.contains("welcome"), "{welcome}");
    assert_eq!(server.get("/room/7").body, r#"{"room":7,"participants":1,"away":0}"#);
    assert_eq!(server.get("/room/8").status(), 404);
    assert_eq!(server.post("/room", "id=9").status(), 201);
    assert_eq!(server.get("/room/random").status(), 200);

    let page = server.request("GET", "/rooms", "Accept: text/html\r\n");
    assert_eq!(
        (page.status(), page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(page.body.contains("href=\"/call?room=7\""), "{page:?}");
}

#[test]
fn there_is_no_rooms_page_without_rooms() {
    let server = Running::start(&["--endpoint", "/signal=echo"]);
    for path in ["/rooms", "/room", "/room/random"] {
        assert_eq!(server.get(path).status(), 404, "{path}");
    }
    let server = Running::start(&["--endpoint", "/signal=echo", "--endpoint", "/other=rooms"]);
    assert_eq!(server.get("/rooms").status(), 200);
}

#[test]
fn ice_servers_are_handed_out_as_the_flags_say() {
    let server = Running::start(&[]);
    let nothing = server.get("/ice");
    assert_eq!((nothing.status(), &*nothing.body), (200, r#"{"iceServers":[],"ttl":3600}"#));
    assert_eq!(nothing.header("cache-control"), Some("no-store"));
    assert_eq!(server.post("/ice", "").status(), 405);

    let flags =
        ["--ice-url", "stun:a.example", "--ice-url", "turn:b.example", "--turn-secret", "north"];
    let server =
        Running::start(&[&flags[..], &["--ice-ttl", "60", "--ice-token", "sesame"]].concat());
    assert_eq!(server.get("/ice").status(), 401);
    let answer = server.request("GET", "/ice", "Authorization: Bearer sesame\r\n");
    assert_eq!(answer.status(), 200, "{answer:?}");
    let start =
        r#"{"iceServers":[{"urls":["stun:a.example"]},{"urls":["turn:b.example"],"username":""#;
    assert!(
        answer.body.starts_with(start) && answer.body.ends_with(r#""}],"ttl":60}"#),
        "{answer:?}"
    );

    let server = Running::start(&["--ice-requests-per-minute", "1"]);
    assert_eq!((server.get("/ice").status(), server.get("/ice").status()), (200, 429));
}

#[test]
fn secrets_need_not_stand_on_the_command_line() {
    let arguments = ["--listen", "127.0.0.1:0", "--ice-url", "turn:b.example"];
    let server = Running::spawn(
        sockeye(&arguments).env("SOCKEYE_TURN_SECRET", "north").env("SOCKEYE_ICE_TOKEN", "t"),
    );
    assert_eq!(server.get("/ice").status(), 401);
    let answer = server.request("GET", "/ice", "Authorization: Bearer t\r\n");
    assert!(answer.body.contains(r#""credential":"#), "{answer:?}");
    let help = text(
        &sockeye(&["--help"])
            .env("SOCKEYE_TURN_SECRET", "north")
            .output()
            .expect("the binary starts")
            .stdout,
    );
    assert!(!help.contains("north"), "{help}");
}

#[test]
fn ice_servers_come_from_a_file() {
    let path = std::env::temp_dir().join(format!("sockeye-ice-{}.json", std::process::id()));
    let file = path.to_str().expect("UTF-8");
    std::fs::write(&path, r#"{"iceServers": [{"urls": "stun:a.example"}], "ttl": 5}"#)
        .expect("written");
    let server = Running::start(&["--ice", file]);
    assert_eq!(server.get("/ice").body, r#"{"iceServers":[{"urls":["stun:a.example"]}],"ttl":5}"#);

    std::fs::write(&path, r#"{"iceServers": [{"urls": "stun:a.example"}, {"url": "stun:b"}]}"#)
        .expect("written");
    let line = refusal(&["--ice", file]);
    assert!(
        line.starts_with(&format!("error: --ice {file}: iceServers[1].url: unknown field `url`")),
        "{line}"
    );
    std::fs::remove_file(&path).expect("there");
    assert!(refusal(&["--ice", file]).ends_with("name a file that can be read"));
}

#[test]
fn ice_flags_that_do_not_fit_together_are_refused() {
    for (arguments, end) in [
        (
            &["--ice-url", "turn:a"][..],
            "needs --turn-secret, or --turn-username and --turn-password",
        ),
        (&["--ice-url", "http://a"], "it begins with stun:, stuns:, turn: or turns:"),
        (&["--turn-secret", "s"], "name one with --ice-url turn:HOST"),
        (&["--ice", "x", "--ice-ttl", "5"], "move --ice-ttl into its file, or leave --ice out"),
        (&["--ice-ttl", "0"], "write 1 to 604800 seconds, for example 3600"),
        (&["--ice-token", "a b"], "without spaces"),
    ] {
        let line = refusal(arguments);
        assert!(line.ends_with(end), "{arguments:?}: {line}");
    }
}

/// A message of 1 MiB takes two in JSON when all of it is line ends, and six when it is written as
/// \u000a.
#[test]
fn echo_takes_messages_of_a_mebibyte() {
    let server = Running::start(&[]);
    let largest = 1024 * 1024;
    let payload = format!("[\"{}\"]", "\\u000a".repeat(largest));
    assert_eq!(reply(&server, "/echo", &payload), format!("a[\"{}\"]\n", "\\n".repeat(largest)));

    assert_eq!(server.post("/echo/000/two/xhr", "").body, "o\n");
    let refused =
        server.post("/echo/000/two/xhr_send", &format!("[\"{}\"]", "x".repeat(largest + 1)));
    assert_eq!(refused.status(), 413);
}

#[test]
fn health_is_ok() {
    let server = Running::start(&["serve"]);
    let health = server.get("/healthz");
    assert_eq!((health.status(), &*health.body), (200, "ok"));
    assert_eq!(health.header("cache-control"), Some("no-store"));
}

#[test]
fn pages_come_with_types_tags_and_a_policy() {
    let server = Running::start(&[]);
    for path in ["/", "/chat", "/call", "/compare"] {
        let page = server.get(path);
        assert_eq!(page.status(), 200, "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(page.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(
            page.header("content-security-policy")
                .is_some_and(|policy| policy.contains("script-src 'self'"))
        );

        let etag = page.header("etag").expect("a tag");
        let again = server.request("GET", path, &format!("If-None-Match: \"other\", {etag}\r\n"));
        assert_eq!((again.status(), &*again.body), (304, ""), "{path}");
        assert_eq!(again.header("etag"), Some(etag), "{path}");

        let head = server.request("HEAD", path, "");
        assert_eq!((head.status(), &*head.body), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), Some(&*page.body.len().to_string()), "{path}");
    }
}

/// The pages, and the iframe page of an endpoint, load the very same sockjs-client, from the CDN or
/// from the program.
#[test]
fn every_page_loads_the_same_client() {
    let server = Running::start(&[]);
    let chat = server.get("/chat").body;
    let iframe = server.get("/ws/iframe.html").body;

    let script = chat
        .split('"')
        .find(|part| part.contains("sockjs") && part.ends_with(".js"))
        .expect("a script");
    assert!(iframe.contains(&format!("src=\"{script}\"")), "{script} is not loaded by:\n{iframe}");
    if script.starts_with('/') {
        let client = server.get(script);
        assert_eq!(client.status(), 200);
        assert_eq!(client.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(client.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert!(client.body.contains("SockJS"));
    } else {
        assert!(
            chat.contains("integrity=\"sha384-"),
            "a script of another host is pinned by its hash"
        );
        let page = server.get("/chat");
        let host = script.split('/').nth(2).expect("an absolute URL");
        assert!(
            page.header("content-security-policy").is_some_and(|policy| policy.contains(host)),
            "{page:?}"
        );
    }
    assert_eq!(server.get("/static/licenses/sockjs-client.txt").status(), 200);
}

#[test]
fn what_is_not_there_is_told_readably() {
    let server = Running::start(&[]);
    for path in [
        "/nothing",
        "/chat/",
        "/index.html",
        "/static/chat.html",
        "/static/package.json",
        "/echofoo",
        "//",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
        assert!(answer.body.contains("/chat"), "{path}: tells where to go instead");
    }
}

/// A mistyped address showed people a list of paths in a fixed-width font. Below a prefix nothing
/// changes for browsers: these answers belong to the protocol, and iframes load there as well.
#[test]
fn a_browser_that_goes_where_nothing_is_gets_a_page() {
    let server = Running::start(&[]);
    let browser = "Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Dest: document\r\n";
    for path in ["/nothing", "/chat/", "/static/nothing.css", "/echofoo"] {
        let answer = server.request("GET", path, browser);
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("vary"), Some("Accept, Sec-Fetch-Dest"), "{path}");
        assert!(answer.body.contains("href=\"/chat\""), "{path}: leads on");
        assert_eq!(server.request("HEAD", path, browser).status(), 404, "{path}");
    }
    for path in ["/echo/nothing", "/echo/000/session/nothing", "/echo//"] {
        let (plain, browsed) = (server.get(path), server.request("GET", path, browser));
        assert_eq!((plain.status(), browsed.status()), (404, 404), "{path}");
        assert_eq!(plain.body, browsed.body, "{path}");
    }
}

#[test]
fn pages_can_only_be_read() {
    let server = Running::start(&[]);
    for path in ["/", "/chat", "/healthz", "/endpoints.json", "/static/style.css"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = server.request(method, path, "Content-Length: 0\r\n");
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
        }
    }
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let server = Running::start(&[]);
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").expect("still open");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the connection stays open");
            answer.push(byte[0]);
        }
    }
}

#[test]
fn a_client_that_closes_its_sending_side_still_gets_its_answer() {
    let server = Running::start(&[]);
    let mut stream = server.connect();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").expect("open");
    stream.shutdown(Shutdown::Write).expect("open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, then the end");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

/// Out of file descriptors, `accept` fails for a connection that stays in the backlog: a server
/// that gave up would be gone, and a server that tried again at once would spin. Waiting
/// connections are served when others have closed.
#[cfg(unix)]
#[test]
fn running_out_of_files_is_survived() {
    let mut shell = Command::new("sh");
    let limited =
        format!("ulimit -n 40; exec {} --listen 127.0.0.1:0", env!("CARGO_BIN_EXE_sockeye"));
    let server = Running::spawn(shell.args(["-c", &limited]));
    let mut held: Vec<TcpStream> = (0..60).map(|_| server.connect()).collect();
    held[59]
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .expect("in the backlog");
    let mut waiting = held.pop().expect("60 of them");
    drop(held);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).expect("served in the end");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

/// RFC 9112, Request Target: two servers in a row that believe different `Host`s can be made to
/// answer one site's client with another's page. On the gateway's paths, on those of pages, and for
/// WebSockets; over HTTP/1.0 a request may have none.
#[test]
fn a_request_says_once_which_host_it_is_for() {
    let server = Running::start(&[]);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\nHost: a, b:80\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.0\r\nHost: user@a\r\n\r\n".to_owned(), 400),
        ("GET http://a/healthz HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), 400),
        (format!("GET /echo/websocket HTTP/1.1\r\n{upgrade}\r\n"), 400),
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200),
        ("GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n".to_owned(), 200),
        ("GET /healthz HTTP/1.1\r\nhost: [::1]:8080\r\nConnection: close\r\n\r\n".to_owned(), 200),
    ] {
        // A refused request ends its connection, also when it asked for keep-alive.
        let answer = server.exchange(&request);
        assert_eq!(answer.status(), status, "{request:?}: {answer:?}");
    }
}

#[test]
fn signals_stop_the_server_with_success() {
    for name in ["TERM", "INT"] {
        let mut server = Running::start(&[]);
        // A silent connection and an idle connection between requests do not delay the stop.
        let _silent = server.connect();
        let mut idle = server.connect();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").expect("open");
        idle.read_exact(&mut [0; 12]).expect("an answer");

        server.signal(name);
        assert_eq!(server.exit_code(), Some(0), "{name}");
    }
}

/// A log collector that hangs: a pipe holds 64 KiB, and a write to a full one never returns. The
/// server answers, tells how much of its log was lost once the collector reads again, and ends when
/// it is told to, also when the collector never reads.
#[cfg(unix)]
#[test]
fn a_stderr_that_is_not_read_stops_nothing() {
    for read_again in [false, true] {
        // No poll waits meanwhile, and the machine may be busy.
        let args = ["--log", "debug", "--listen", "127.0.0.1:0", "--disconnect-delay", "300"];
        let mut command = sockeye(&args);
        let mut server = Running::spawn_with(&mut command, Stdio::piped());
        let mut stderr = BufReader::new(server.child.stderr.take().expect("piped"));
        // A line for each refused payload: more than pipe and program hold together.
        assert_eq!(server.post("/echo/000/one/xhr", "").body, "o\n");
        let mut connection = BufReader::new(server.connect());
        let host = server.addr;
        let refused = format!(
            "POST /echo/000/one/xhr_send HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\nx"
        );
        for _ in 0..60 {
            connection
                .get_mut()
                .write_all(refused.repeat(100).as_bytes())
                .expect("the server reads");
            for _ in 0..100 {
                let head = answer_head(&mut connection);
                assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
            }
        }
        assert_eq!(server.get("/healthz").body, "ok");
        let mut line = String::new();
        while read_again && !line.contains("lines of the log were dropped here") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("UTF-8") > 0, "the rest is told");
        }
        server.signal("TERM");
        assert_eq!(server.exit_code(), Some(0));
        if read_again {
            stderr.read_to_string(&mut line).expect("UTF-8");
            assert!(line.contains("stopping"), "what came later is told again: {line}");
        }
    }
}

/// The head of a kept-alive connection's next answer, which is read to its end.
fn answer_head(connection: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(connection.read_line(&mut head).expect("an answer") > 0, "{head}");
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    connection.read_exact(&mut vec![0; length.expect("a length")]).expect("a body");
    head
}

#[cfg(unix)]
#[test]
fn logs_go_to_stderr_and_can_be_turned_up_and_off() {
    for (arguments, variable, expected) in [
        (&[][..], None, true),
        (&["--log", "off"], None, false),
        (&[], Some("off"), false),
        (&["--log", "info"], Some("off"), true),
    ] {
        let mut command = sockeye(&[arguments, &["--listen", "127.0.0.1:0"]].concat());
        if let Some(filter) = variable {
            command.env("RUST_LOG", filter);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let told = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
        assert!(told.expect("kill runs").success());
        let output = child.wait_with_output().expect("it ended");
        assert_eq!(
            text(&output.stderr).contains("listening"),
            expected,
            "{arguments:?} RUST_LOG={variable:?}"
        );
    }
}

/// A client of an app that passes messages on can't flood their readers: messages ahead of its rate
/// wait for their answer, and are taken then. 15 messages of 64 KiB are more than a burst,
/// and seven seconds' worth.
#[test]
fn a_client_that_floods_others_waits_and_one_that_floods_itself_does_not() {
    let much = format!("[{}]", vec![format!("\"{}\"", "x".repeat(64 * 1024)); 15].join(","));
    for (rate, prefixes) in [
        (None, &["/broadcast", "/ws", "/socket", "/signal"][..]),
        (Some("off"), &["/broadcast"]),
        (None, &["/echo"]),
    ] {
        let held = rate.is_none() && prefixes != ["/echo"];
        let server = Running::start(rate.map_or(&[][..], |_| &["--inbound-rate", "off"]));
        for prefix in prefixes {
            let session = format!("{prefix}/000/flood");
            assert_eq!(server.post(&format!("{session}/xhr"), "").body, "o\n");
            let send = format!("{session}/xhr_send");
            assert!(server.post(&send, &much).head.starts_with("HTTP/1.1 204 "), "{prefix}");
            let mut stream = server.connect();
            stream
                .set_read_timeout(Some(Duration::from_millis(300)))
                .expect("a timeout above zero");
            let more = format!(
                "POST {send} HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\r\n[\"x\"]",
                server.addr
            );
            stream.write_all(more.as_bytes()).expect("the request leaves");
            let answer = stream.read(&mut [0; 9]);
            assert_eq!(answer.is_err(), held, "{prefix}: {answer:?}");
        }
    }
}

/// An operator wants to know the limit and its source before it is reached.
#[test]
fn the_log_tells_at_the_start_how_much_memory_sessions_may_hold() {
    let half = Some("half of the ").filter(|_| cfg!(target_os = "linux"));
    for (arguments, told) in
        [(&["--memory", "64MiB"][..], Some("limit=67108864 source=\"memory\"")), (&[], half)]
    {
        let arguments = [arguments, &["--listen", "127.0.0.1:0"]].concat();
        let mut server = Running::spawn_with(&mut sockeye(&arguments), Stdio::piped());
        let mut stderr = BufReader::new(server.child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("memory for sessions is limited") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("stderr is readable") > 0, "the log ended");
        }
        assert!(told.is_none_or(|told| line.contains(told)), "{line}");
    }
    let refused = sockeye(&["--memory", "much"]).output().expect("the binary starts");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("\"much\" is no size: write bytes, or a size with its unit"),
        "{refused:?}"
    );
}

/// The demos tell all clients the same; the other endpoints are for pages of the server's own
/// origin, and of those that it was told.
#[test]
fn each_path_has_its_policy_of_origins() {
    let server = Running::start(&[
        "--endpoint",
        "/mine=echo",
        "--origin",
        "https://app.example",
        "--origin",
        "https://*.example.org",
    ]);
    for (origin, listed) in [
        ("https://app.example", true),
        ("https://a.example.org", true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let header = format!("Origin: {origin}\r\n");
        for (path, admitted) in [
            ("/echo", true),
            ("/broadcast", true),
            ("/socket", true),
            ("/ws", listed),
            ("/signal", listed),
            ("/mine", listed),
        ] {
            let answer = server.request("GET", &format!("{path}/info"), &header);
            assert_eq!(answer.status(), if admitted { 200 } else { 403 }, "{origin} {path}");
            let echoed = answer.header("Access-Control-Allow-Origin");
            assert_eq!(echoed, admitted.then_some(origin), "{origin} {path}");
        }
        // No page of another origin reads these.
        for path in ["/ice", "/rooms", "/room", "/endpoints.json", "/healthz"] {
            let answer = server.request("GET", path, &header);
            assert_eq!(answer.header("Access-Control-Allow-Origin"), None, "{origin} {path}");
        }
        assert_eq!(server.request("POST", "/room", &header).status(), 403, "{origin}");
    }
    let any = Running::start(&["--origin", "any"]);
    assert_eq!(any.request("GET", "/ws/info", "Origin: https://evil.example\r\n").status(), 200);
    // In place of a demo stands an endpoint like any other.
    let other = Running::start(&["--endpoint", "/echo=echo"]);
    let answer = other.request("GET", "/echo/info", "Origin: https://evil.example\r\n");
    assert_eq!(answer.status(), 403);
    assert!(answer.body.contains("--origin https://evil.example"), "{}", answer.body);
}

#[test]
fn an_origin_that_is_none_is_answered_with_what_to_write() {
    for (value, remedy) in [
        ("https://example.org/", "write \"https://example.org\""),
        ("example.org", "write \"https://example.org\""),
        ("null", "can't be listed"),
    ] {
        let line = refusal(&["--origin", value]);
        assert!(line.contains("--origin") && line.contains(remedy), "{line}");
    }
}
