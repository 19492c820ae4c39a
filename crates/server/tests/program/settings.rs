//! Settings as an operator meets them: files, variables, flags, and the two commands for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::pages;
use serde_json::Value;

fn sockeye(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs to the end with this on stdin.
fn fed(arguments: &[&str], input: &str) -> Output {
    let mut command = sockeye(arguments);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("it is read");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn printed(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn file(name: &str, content: &str) -> PathBuf {
    let name = format!("{name}-{}.toml", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the folder is for that");
    path
}

/// An operator begins with the example.
#[test]
fn the_printed_defaults_are_a_file_without_problems() {
    let example = printed(&mut sockeye(&["print-config", "--default"]));
    let output = fed(&["check-config", "-"], &example);
    assert_eq!(text(&output.stderr), "");
    assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(0), "-: no problems\n"));
    let output = fed(&["check-config", "-"], &printed(&mut sockeye(&["print-config"])));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_problem_ends_the_check_and_the_server_with_code_2() {
    let wrong = "[endpoints]\nheartbeat_delay = 25\n";
    let told = "heartbeat_delay: 25 has no unit: write a time with its unit";
    let output = fed(&["check-config", "-"], wrong);
    assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(2), ""));
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with(&format!("error: stdin:2:19: endpoints.{told}")), "{stderr}");
    assert!(stderr.ends_with("\n2 | heartbeat_delay = 25\n  |                   ^^\n"), "{stderr}");

    let path = file("wrong", wrong);
    for command in ["serve", "print-config"] {
        let output = sockeye(&[command, "--config"]).arg(&path).output().expect("it runs");
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(2), ""));
        assert!(text(&output.stderr).contains(told), "{output:?}");
    }
    let output = sockeye(&["--config", "/nowhere.toml"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("error: /nowhere.toml: No such file"), "{stderr}");
    assert!(stderr.ends_with("name a file of text that can be read\n"), "{stderr}");
}

#[test]
fn a_flag_stands_over_a_variable_over_a_file_over_the_default() {
    let path = file(
        "layers",
        "log = \"warn\"\n[endpoints]\nsessions = 1\nheartbeat_delay = \"1s\"\npong_timeout = \"1s\"\n",
    );
    let text = printed(
        sockeye(&["print-config", "--heartbeat-delay", "3"])
            .env("SOCKEYE_CONFIG", path)
            .env("SOCKEYE_HEARTBEAT_DELAY", "2s")
            .env("SOCKEYE_PONG_TIMEOUT", "2s")
            .env("RUST_LOG", "debug"),
    );
    let section = text.split("[endpoints]\n").nth(1).expect("it is there");
    let section = section.split("\n[").next().expect("a section");
    for line in [
        "heartbeat_delay = \"3s\"",
        "pong_timeout = \"2s\"",
        "sessions = 1",
        "disconnect_delay = \"5s\"",
    ] {
        assert!(section.lines().any(|it| it == line), "{line}: {section}");
    }
    assert!(text.contains("log = \"debug\"\n"), "{text}");
    let over = |command: &mut Command| printed(command).contains("log = \"error\"\n");
    assert!(over(sockeye(&["print-config"]).env("RUST_LOG", "info").env("SOCKEYE_LOG", "error")));
    assert!(over(sockeye(&["print-config", "--log", "error"]).env("SOCKEYE_LOG", "info")));
}

/// What a wrong variable is answered with names the flag, and a wrong RUST_LOG itself.
#[test]
fn a_wrong_variable_is_told() {
    for (name, expected) in [
        ("SOCKEYE_SESSIONS", "'--sessions <NUMBER>': \"x=y\" is no number"),
        ("RUST_LOG", "RUST_LOG: error parsing level filter"),
    ] {
        let output = sockeye(&["print-config"]).env(name, "x=y").output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn a_secret_of_a_variable_is_not_printed() {
    let mut command = sockeye(&["print-config", "--ice-url", "turn:a"]);
    let text = printed(
        command.env("SOCKEYE_TURN_SECRET", "tell-tale").env("SOCKEYE_ICE_TOKEN", "tell-tale"),
    );
    assert!(!text.contains("tell-tale"), "{text}");
    assert!(text.contains("urls = [\"turn:a\"]\n# secret: set, and not shown\n"), "{text}");
    assert!(text.contains("# token: set, and not shown\n"), "{text}");
}

#[test]
fn every_toml_file_on_a_page_has_no_problems() {
    let mut checked = 0;
    for block in pages::all().into_iter().flat_map(|page| page.blocks()) {
        // Of Cargo's files there are others.
        if block.language != "toml" || block.code.contains("dependencies]") {
            continue;
        }
        let output = fed(&["check-config", "-"], &block.code);
        assert!(output.status.success(), "{}: {}", block.place, text(&output.stderr));
        checked += 1;
    }
    assert!(checked > 0);
}

/// What an operator needs of a log: lines for a collector, each limit that clients reach by the
/// name of its setting, the end of each session; and nothing that users wrote.
#[test]
fn the_log_names_each_limit_that_is_reached_and_tells_nothing_of_messages() {
    let path = file(
        "limits",
        "log_format = \"json\"\nlog = \"debug\"\n[endpoints]\nmessage_size = 20\ntarget_size = 60\n\
         kept_header_bytes = 100\nmessage_timeout = \"100ms\"\ndisconnect_delay = \"10ms\"\n",
    );
    let mut command = sockeye(&["--listen", "127.0.0.1:0", "--config"]);
    let command = command.arg(path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut line).expect("stdout is readable");
    let addr = line.trim_end().strip_prefix("listening on http://").expect("its first line");

    let answer = |path: &str, headers: &str, length: usize, body: &str| {
        let mut stream = TcpStream::connect(addr).expect("the server accepts");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("the request leaves");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in UTF-8");
        answer.split(' ').nth(1).expect("a status").to_owned()
    };
    let secret = "tell-tale".repeat(3);
    let (query, cookie) =
        (format!("?{}", secret.repeat(3)), format!("Cookie: {}\r\n", secret.repeat(5)));
    let message = format!("[\"{secret}\"]");
    assert_eq!(answer("/echo/000/a/xhr?tell-tale", "", 0, ""), "200");
    assert_eq!(answer("/echo/000/a/xhr_send", "", message.len(), &message), "413");
    assert_eq!(answer(&format!("/echo/000/b/xhr{query}"), "", 0, ""), "414");
    assert_eq!(answer("/echo/000/b/xhr", &cookie, 0, ""), "431");
    assert_eq!(answer("/ws/000/c/xhr", "", 0, ""), "200");
    assert_eq!(answer("/ws/000/c/xhr_send", "", 9, ""), "408");

    // The session ends a moment after its payload was refused.
    let (mut log, mut stderr) =
        (String::new(), BufReader::new(child.stderr.take().expect("piped")));
    while !log.contains("session ended") {
        assert!(stderr.read_line(&mut log).expect("stderr is readable") > 0, "{log}");
    }
    let told = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
    assert!(told.expect("kill runs").success());
    stderr.read_to_string(&mut log).expect("stderr is readable");
    child.wait().expect("it ends");
    assert!(!log.contains("tell-tale"), "{log}");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let lines: Vec<Value> = lines.collect();
    let limits = lines.iter().filter(|line| line["level"] == "WARN" && !line["setting"].is_null());
    let limits: Vec<_> =
        limits.map(|line| (line["endpoint"].as_str(), line["setting"].as_str())).collect();
    let expected = [
        ("/echo", "message_size"),
        ("/echo", "target_size"),
        ("/echo", "kept_header_bytes"),
        ("/ws", "message_timeout"),
    ];
    assert_eq!(limits, expected.map(|(endpoint, setting)| (Some(endpoint), Some(setting))));
    let ended = lines.iter().find(|line| line["message"] == "session ended").expect("a line");
    assert_eq!(ended["transport"], "xhr");
    assert!(ended["reason"].as_str().is_some_and(|reason| reason.contains("1009")), "{ended}");
}
