//! What every message passes, part by part: `cargo bench --bench micro`.

#![allow(missing_docs, reason = "criterion's macro makes undocumented functions")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::Method;
use sockeye::micro::{self, Audience, OneSession};
use sockeye::{Message, Prefix};

/// As much text as a load's message has, and one that a person might write.
const MESSAGE: &str = "0000002a.00000007.00000000075bcd15.89abcdef.stuvwxyzabcdefghijkl";
const CHAT: &str = "{\"text\":\"Grüße aus Köln \u{1f44b}\\n\",\"at\":1700000000}\u{2028}";

fn quote(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("quote");
    let long = "a long text without anything to escape, ".repeat(100);
    for (name, text) in [("64 bytes", MESSAGE), ("chat", CHAT), ("4 KB", &long)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut out = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| micro::quote(black_box(text), &mut out))
        });
    }
}

fn frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for count in [1, 16] {
        let texts = vec![MESSAGE; count];
        let id = BenchmarkId::new("messages", count);
        group.bench_function(id, |bencher| bencher.iter(|| micro::frame(black_box(&texts))));
    }
}

fn payload(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("payload");
    let many = format!("[{}]", vec![format!("\"{MESSAGE}\""); 16].join(","));
    let one = format!("[\"{MESSAGE}\"]");
    assert_eq!((micro::payload(one.as_bytes()), micro::payload(many.as_bytes())), (1, 16));
    group.bench_function("body of 1", |bencher| {
        bencher.iter(|| micro::payload(black_box(one.as_bytes())))
    });
    group.bench_function("body of 16", |bencher| {
        bencher.iter(|| micro::payload(black_box(many.as_bytes())))
    });
    group.bench_function("WebSocket, 1", |bencher| {
        bencher.iter(|| micro::payload_frame(black_box(&one)))
    });
}

fn route(criterion: &mut Criterion) {
    let prefix: Prefix = "/echo".parse().expect("a prefix");
    let path = "/echo/042/0123456789abcdef/xhr_send";
    assert!(micro::route(&prefix, &Method::POST, path));
    criterion.bench_function("route", |bencher| {
        bencher.iter(|| micro::route(&prefix, black_box(&Method::POST), black_box(path)));
    });
}

fn core(criterion: &mut Criterion) {
    let (mut session, message) = (OneSession::new(), Message::text(MESSAGE));
    criterion.bench_function("core: echo", |bencher| {
        bencher.iter(|| assert!(session.echo(black_box(message.clone()))));
    });
}

fn fan_out(criterion: &mut Criterion) {
    const AUDIENCE: usize = 10_000;
    let mut group = criterion.benchmark_group("fan-out to 10,000 queues");
    group.throughput(Throughput::Elements(AUDIENCE as u64)).sample_size(20);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _within = runtime.enter();
    let mut audience = Audience::new(AUDIENCE);
    // Only the publisher's part is timed; the queues are emptied in between.
    group.bench_function("publish", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let begun = Instant::now();
                audience.publish(black_box(MESSAGE));
                spent += begun.elapsed();
                assert_eq!(audience.take(), AUDIENCE);
            }
            spent
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = quote, frame, payload, route, core, fan_out
}
criterion_main!(benches);
