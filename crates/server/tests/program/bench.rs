//! `sockeye bench` from outside.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use common::odd_servers::{dead, gateway, half_dead, mute, silent_from};

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.args(["bench", "--quick"]).args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = bench(arguments).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn a_comparison_from_end_to_end() {
    let (json, report) = (file("compare.json"), file("compare.html"));
    let (code, tables, progress) = run(&[
        "--technique",
        "long polling",
        "--technique",
        "WebSocket",
        "--network",
        "no-WebSocket proxy",
        "--json",
        json.to_str().expect("UTF-8"),
        "--report",
        report.to_str().expect("UTF-8"),
    ]);
    assert_eq!(code, Some(0), "{tables}{progress}");
    for title in [
        "Round trip in ms",
        "Of that to the server",
        "Of that to the client",
        "Messages/s of 64 bytes",
        "Server CPU for a message",
        "For a message, 1 in flight",
        "One message to",
        "Sessions",
        "Correctness",
        "Over no-WebSocket proxy",
    ] {
        assert!(tables.contains(title), "{title}: {tables}");
    }
    for line in tables.lines().filter(|line| line.starts_with('|')) {
        assert!(line.chars().count() <= 100, "a terminal of 100 columns breaks it: {line}");
    }
    assert!(progress.contains("Sockeye: WebSocket, throughput with 16 in flight"), "{progress}");

    let results: Value =
        serde_json::from_slice(&std::fs::read(json).expect("written")).expect("JSON");
    assert_eq!(results["interrupted"], false);
    for (index, technique) in ["long polling", "WebSocket"].into_iter().enumerate() {
        let entry = &results["direct"][index];
        assert_eq!(entry["technique"], technique);
        assert!(
            entry["round_trip"]["value"]["p50"].as_f64().expect("enough messages") > 0.0,
            "{entry}"
        );
        for way in ["to_server", "to_client"] {
            assert!(!cfg!(unix) || entry[way]["value"]["p50"].is_f64(), "{entry}");
        }
        for throughput in ["one_in_flight", "sixteen_in_flight"] {
            let found = &entry[throughput]["value"];
            assert!(
                found["messages_per_second"].as_f64() > Some(0.0)
                    && found["bytes_sent"].as_f64() > Some(64.0),
                "{entry}"
            );
            assert!(
                !cfg!(target_os = "linux") || found["server_cpu"]["value"]["user"].is_f64(),
                "{entry}"
            );
        }
        assert_eq!(entry["correctness"]["lost"], 0);
        let over = &results["networks"][0]["entries"][index];
        match technique {
            "WebSocket" => {
                assert!(
                    over["opening"]["not_available"]
                        .as_str()
                        .is_some_and(|why| why.contains("400")),
                    "{over}"
                )
            }
            _ => {
                // On a machine too busy for many round trips there is no median.
                let found = &over["round_trip"]["value"];
                let found = found["p50"].as_f64().or(found["max"].as_f64());
                assert!(found > Some(10.0), "5 ms each way: {over}");
            }
        }
    }
    let (requests, bytes) = (
        |index: usize| {
            results["direct"][index]["one_in_flight"]["value"]["requests"]
                .as_f64()
                .expect("a figure")
        },
        |index: usize| {
            results["direct"][index]["one_in_flight"]["value"]["bytes_sent"]
                .as_f64()
                .expect("a figure")
        },
    );
    assert!(
        (requests(0) - 2.0).abs() < 0.2 && requests(1) == 0.0,
        "a poll and a send; nothing: {} {}",
        requests(0),
        requests(1)
    );
    assert!(bytes(0) > 500.0 && (bytes(1) - 74.0).abs() < 2.0, "{} {}", bytes(0), bytes(1));

    let report = std::fs::read_to_string(report).expect("written");
    assert!(
        report.starts_with("<!DOCTYPE html>")
            && report.contains("<svg")
            && report.contains("id=data>")
    );
}

fn against(addr: SocketAddr, prefix: &str, more: &[&str]) -> (Option<i32>, String, String) {
    run(&[&["--target", &format!("it=http://{addr}{prefix}")], more].concat())
}

#[test]
fn a_server_that_does_wrong_is_called_out() {
    let (code, tables, _) = against(gateway(), "/sinner", &["--technique", "raw WebSocket"]);
    assert_eq!(code, Some(1), "{tables}");
    for sin in ["lost", "duplicated", "reordered", "changed"] {
        let named = tables
            .lines()
            .any(|line| line.starts_with("FAILED: it, raw WebSocket: ") && line.ends_with(sin));
        assert!(named, "{sin}: {tables}");
    }
}

#[test]
fn what_cannot_be_had_of_a_foreign_server_is_told_with_the_reason() {
    let (code, tables, _) = against(
        gateway(),
        "/duplicates",
        &["--technique", "short polling 1 s", "--technique", "xhr streaming"],
    );
    assert_eq!(code, Some(1), "{tables}");
    for reason in [
        "its polls take no sockeye_wait",
        "its clock cannot be read",
        "its process is not known: --pid NAME=PID",
        "no broadcast endpoint is named: --broadcast NAME=URL",
    ] {
        assert!(tables.contains(reason), "{reason}: {tables}");
    }
}

#[test]
fn targets_stand_side_by_side() {
    let (first, second) = (gateway(), gateway());
    let pid = std::process::id();
    let (code, tables, progress) = run(&[
        "--target",
        &format!("one=http://{first}/echo"),
        "--target",
        &format!("two=http://{second}/echo"),
        "--broadcast",
        &format!("one=http://{first}/broadcast"),
        "--pid",
        &format!("one={pid}"),
        "--technique",
        "EventSource",
    ]);
    assert_eq!(code, Some(0), "{tables}{progress}");
    let order: Vec<_> =
        progress.lines().filter_map(|line| line.strip_suffix("latency …")).collect();
    assert_eq!(order, ["one: EventSource, ", "two: EventSource, "]);
    assert!(
        tables.contains("| EventSource | one") && tables.contains("| EventSource | two"),
        "{tables}"
    );
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let (code, _, error) = against(dead(), "/echo", &[]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("cannot connect to 127.0.0.1") && error.contains("is it running"),
        "{error}"
    );
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let (code, _, error) = against(mute(), "/echo", &[]);
    assert_eq!(code, Some(2));
    assert!(error.contains("no answer for 5s to asking for info"), "{error}");
}

#[test]
fn a_server_that_opens_no_session_is_not_waited_for() {
    let (code, tables, _) =
        against(half_dead(), "/echo", &["--technique", "long polling", "--technique", "WebSocket"]);
    assert_eq!(code, Some(1), "{tables}");
    assert!(tables.contains("no session: no answer for 2s to opening a session"), "{tables}");
    assert!(tables.contains("FAILED: it: no technique worked"), "{tables}");
}

#[test]
fn wrong_arguments_are_told() {
    for (arguments, message) in [
        (&["--target", "http://127.0.0.1/echo"][..], "NAME=VALUE"),
        (&["--target", "a=https://127.0.0.1/echo"], "no URL like http://"),
        (&["--technique", "smoke signals"], "none of \"short polling 1 s\", "),
        (&["--network", "pigeon"], "no network is called \"pigeon\"; there are \"LAN\", "),
        (&["--profiles", "/nonexistent", "--full"], "--profiles /nonexistent: "),
        (
            &["--target", "a=http://127.0.0.1:1/e", "--pid", "b=1"],
            "--pid names \"b\", which no --target does",
        ),
    ] {
        let (code, _, error) = run(arguments);
        assert!(code == Some(2) && error.contains(message), "{arguments:?}: {code:?} {error}");
    }
}

/// The tool first asks what polls can do, then for a session; a server may answer neither.
#[cfg(unix)]
#[test]
fn ctrl_c_is_heard_while_a_server_does_not_answer() {
    for refused in [0, 1] {
        let (addr, silent) = silent_from(refused);
        let target = format!("it=http://{addr}/echo");
        let mut child = bench(&["--target", &target, "--technique", "long polling", "--json", "-"]);
        let child =
            child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        silent.recv().expect("it is asked for a session");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
        let Output { status, stdout, .. } = child.wait_with_output().expect("it ends");
        assert_eq!(status.code(), Some(130), "silent after {refused}");
        let results: Value = serde_json::from_slice(&stdout).expect("JSON");
        assert_eq!(results["interrupted"], true, "silent after {refused}");
        assert!(
            !String::from_utf8_lossy(&stdout).contains("no answer for"),
            "it waited: silent after {refused}"
        );
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_what_it_has() {
    let mut child = bench(&["--full", "--json", "-"]);
    let mut child =
        child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut progress = BufReader::new(child.stderr.take().expect("piped")).lines();
    let second = progress.find(|line| line.as_ref().is_ok_and(|line| line.contains("throughput")));
    second.expect("it measures more than one thing").expect("text");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    // Both streams are read at the same time: the program may wait to write to either.
    let rest = std::thread::spawn(move || progress.map_while(Result::ok).collect::<Vec<_>>());
    let mut json = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut json).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(rest.join().expect("no panic"), [""; 0], "nothing else begins");
    let results: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(results["interrupted"], true);
    let first = &results["direct"][0];
    assert!(first["round_trip"]["value"].is_object(), "it was measured: {first}");
    assert_eq!(first["one_in_flight"]["not_available"], "interrupted");
    assert_eq!(
        results["direct"].as_array().map(Vec::len),
        Some(1),
        "of the others there is nothing to tell"
    );
}
