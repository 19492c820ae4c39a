use super::*;
use crate::machine::Machine;
use crate::others::Others;
use crate::results::*;
use crate::{profiles, table};

fn distribution(p50: f64) -> Distribution {
    let (p90, p99) = (Some(p50 * 2.0), Some(p50 * 5.0));
    Distribution {
        samples: 1000,
        p50: Some(p50),
        p90,
        p99,
        p999: None,
        max: Some(p50 * 9.0),
        steps: vec![(p50, 1000)],
    }
}

fn results() -> Results {
    let throughput = Throughput {
        messages_per_second: 12_345.0,
        server_cpu: Finding::Value(CpuFound { user: 2.0, system: 5.5 }),
        bytes_sent: 740.0,
        bytes_received: 99.0,
        requests: 1.0,
        connections_per_session: 2.0,
        driver_share: Some(0.99),
        driver_was_bottleneck: true,
    };
    let found = Direct {
        round_trip: Finding::Value(distribution(0.25)),
        to_server: Finding::Value(distribution(0.125)),
        to_client: Finding::none("its clock cannot be read"),
        one_in_flight: Finding::Value(throughput.clone()),
        sixteen_in_flight: Finding::Value(throughput),
        fan_out: Finding::none("no <broadcast> endpoint"),
        idle_bytes: Finding::Value(3456.0),
        opening: Finding::Value(distribution(1.0)),
        visits_per_second: Finding::Value(1000.0),
        correctness: Checked { expected: 10, lost: 1, ..Checked::default() },
    };
    let scale = ScaleSummary {
        message_bytes: 64,
        sessions: 100,
        rate: 2500.0,
        receivers: 1000,
        idle_sessions: 1000,
        network_sessions: 20,
        network_rate: 40.0,
    };
    Results {
        version: "1.2.3",
        machine: Machine::this(std::time::SystemTime::UNIX_EPOCH),
        scale,
        targets: vec![TargetSummary {
            name: "A </script> & B".to_owned(),
            url: "http://a".to_owned(),
            own: false,
        }],
        direct: vec![Entry {
            technique: "WebSocket".to_owned(),
            target: "A </script> & B".to_owned(),
            found,
        }],
        networks: Vec::new(),
        others: Vec::new(),
        interrupted: false,
    }
}

#[test]
fn the_report_loads_nothing_and_holds_the_data() {
    let html = html(&results());
    for reference in ["src=", "href=", "@import", "url("] {
        assert!(!html.contains(reference), "{reference}");
    }
    let data = html
        .split_once("id=data>")
        .expect("the data")
        .1
        .split_once("</script>")
        .expect("its end")
        .0;
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data["direct"][0]["round_trip"]["value"]["p50"], 0.25);
    assert_eq!(data["direct"][0]["fan_out"]["not_available"], "no <broadcast> endpoint");
    assert_eq!(data["targets"][0]["name"], "A </script> & B");
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let html = html(&results());
    assert_eq!(html.matches("</script>").count(), 1);
    assert!(
        html.contains("A &lt;/script&gt; &amp; B")
            && html.contains("no &lt;broadcast&gt; endpoint")
    );
}

#[test]
fn pictures_take_their_colours_from_the_page() {
    let html = html(&results());
    assert_eq!(html.matches("<svg").count(), 5, "all but the fan-out's");
    assert!(html.contains("var(--c0)") && html.contains("var(--ink)"));
    let svg = &html[html.find("<svg").expect("a picture")..html.rfind("</svg>").expect("its end")];
    assert!(!svg.contains("=\"#"), "a colour of its own");
}

#[test]
fn a_picture_of_its_own_is_to_be_read_on_any_page() {
    let values = vec![
        ("floor".to_owned(), Ok(2.0)),
        ("Sockeye".to_owned(), Ok(3.0)),
        ("other".to_owned(), Err("n/a".to_owned())),
    ];
    let svg = picture("caption", &[Group { title: "title".to_owned(), floor: true, values }]);
    for part in
        ["prefers-color-scheme:dark", "fill=\"var(--paper)\"", "caption", "title", "other", "n/a"]
    {
        assert!(svg.contains(part), "{part}");
    }
    let (grey, first) = (svg.find("fill=\"var(--c5)\""), svg.find("fill=\"var(--c0)\""));
    assert!(grey.is_some() && grey < first, "the floor is grey, and Sockeye has the first colour");
    assert!(!svg.contains("=\"#"), "a colour of its own");
}

#[test]
fn a_picture_without_a_figure_has_an_end() {
    let values = vec![("other".to_owned(), Err("n/a".to_owned())), ("none".to_owned(), Ok(0.0))];
    let groups = [Group { title: "title".to_owned(), floor: false, values }];
    for groups in [&groups[..], &[]] {
        let svg = picture("caption", groups);
        assert!(svg.contains("caption") && svg.len() < 10_000, "{}", svg.len());
    }
}

#[test]
fn a_terminal_of_100_columns_holds_the_tables() {
    let mut results = results();
    let throughput = Throughput {
        messages_per_second: 1_234_567.0,
        server_cpu: Finding::Value(CpuFound { user: 123.4, system: 1234.5 }),
        bytes_sent: 123_456.0,
        bytes_received: 123_456.0,
        requests: 12.34,
        connections_per_session: 12.34,
        driver_share: Some(1.0),
        driver_was_bottleneck: false,
    };
    let fan_out = FanOutFound {
        receivers: 1000,
        deliveries_per_second: 1_234_567.0,
        last: distribution(1_234.5),
        server_cpu: Finding::Value(CpuFound { user: 12.34, system: 12.34 }),
        driver_was_bottleneck: false,
    };
    let correctness = Checked { expected: 1_234_567, lost: 12, ..Checked::default() };
    let Entry { found, .. } = results.direct[0].clone();
    let found = Direct {
        one_in_flight: Finding::Value(throughput.clone()),
        sixteen_in_flight: Finding::Value(throughput),
        fan_out: Finding::Value(fan_out),
        round_trip: Finding::Value(distribution(1_234.5)),
        correctness: correctness.clone(),
        ..found
    };
    let correctness = Checked { expected: 12_345, ..correctness };
    let over = OverNetwork {
        round_trip: found.round_trip.clone(),
        opening: found.opening.clone(),
        correctness,
    };
    let (technique, target) = ("short polling 100 ms".to_owned(), "sockjs-node".to_owned());
    results.targets.extend(results.targets.clone());
    results.direct = vec![Entry { technique: technique.clone(), target: target.clone(), found }];
    let over = || {
        vec![Entry { technique: technique.clone(), target: target.clone(), found: over.clone() }]
    };
    results.networks = profiles::embedded()
        .into_iter()
        .map(|profile| Network { profile, entries: over() })
        .collect();
    let is_sentence =
        |line: &str| ["[", "FAILED", "Over"].iter().any(|start| line.starts_with(start));
    for line in table::text(&results).lines().filter(|line| !is_sentence(line)) {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn failures_are_told_first() {
    let html = html(&results());
    assert!(html.contains("1 of 10 messages lost") && html.contains("1 in flight"));
    assert!(!html.contains("none was lost"));
}

#[test]
fn a_disturbed_measurement_is_told_in_words_and_as_data() {
    let mut results = results();
    let others = |during: &str, cores| Others { during: during.to_owned(), cores };
    results.others = vec![others("long polling", 0.02), others("over train", 0.8)];
    let (html, text) = (html(&results), table::text(&results));
    assert!(
        html.contains("Other processes had the machine")
            && html.contains("<li>over train: 0.80 cores</li>")
    );
    assert!(
        text.contains("other processes had the machine") && text.contains("over train: 0.80 cores")
    );
    assert!(!html.contains("long polling: 0.02") && !text.contains("long polling: 0.02"));
    assert!(html.contains(r#""during":"long polling","cores":0.02"#), "the data has them all");
}
