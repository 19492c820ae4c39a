//! What can be served: a gateway, a router, a function, and a service that isn't always ready.

use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use common::apps::echo;
use common::client::Client;
use common::http::{Connection as Http, Request as Get};
use common::transport::Transport;
use sockeye::{Budget, PeerAddr};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;

use super::*;

#[tokio::test]
async fn a_gateway_is_served_on_every_transport() {
    let gateway = Gateway::new().endpoint("/echo", echo);
    let server = start(ServeConfig::default(), gateway).await;
    for transport in Transport::ALL {
        let mut client = Client::open(server.addr, "/echo", transport).await;
        for message in ["one", "two"] {
            client.send(&[message]).await;
            assert_eq!(client.message().await, message, "{transport:?}");
        }
    }
}

/// Its handlers learn the client's address as well.
#[tokio::test]
async fn a_router_of_axum_is_served() {
    let (listener, addr) = listen().await;
    let peer = async |Extension(PeerAddr(peer)): Extension<PeerAddr>| peer.to_string();
    let app: Router = Router::new().route("/peer", get(peer));
    tokio::spawn(sockeye::serve(listener, app).into_future());
    let mut stream =
        connect(addr, "GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let own = stream.local_addr().expect("connected").to_string();
    let answer = read_until(&mut stream, &own).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_function_is_served() {
    let (listener, addr) = listen().await;
    let service = service_fn(async |request: Request<Incoming>| {
        Ok(Response::new(request.uri().path().to_owned()))
    });
    tokio::spawn(sockeye::serve(listener, service).into_future());
    // Several requests on a connection, for the connection keeps its service.
    let mut client = Http::open(addr).await;
    for path in ["/one", "/two"] {
        assert_eq!(client.exchange(&Get::get(path)).await.text(), path);
    }
}

/// A layer that limits how many requests are answered at the same time has its line: a request
/// waits for its turn, others on their connections as well, and none is lost or answered twice.
#[tokio::test]
async fn a_service_that_is_not_ready_is_waited_for() {
    let (listener, addr) = listen().await;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let going = Arc::clone(&go);
    let service =
        ServiceBuilder::new().concurrency_limit(1).service_fn(move |request: Request<Incoming>| {
            begun.send(()).expect("the test waits");
            let (path, go) = (request.uri().path().to_owned(), Arc::clone(&going));
            async move {
                go.acquire().await.expect("never closed").forget();
                Ok(Response::new(path))
            }
        });
    tokio::spawn(sockeye::serve(listener, service).into_future());
    let mut clients = Vec::new();
    for number in 0..4 {
        let mut client = Http::open(addr).await;
        client.write(Get::get(format!("/{number}")).to_bytes()).await;
        clients.push(client);
    }
    for _ in 0..4 {
        within("a request's turn", begins.recv()).await.expect("the service lives");
        assert!(begins.is_empty(), "one at a time");
        go.add_permits(1);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let request = Get::get("/");
        assert_eq!(client.response(&request).await.text(), format!("/{number}"));
    }
}

#[tokio::test]
async fn connections_count_in_the_budget() {
    let (listener, addr) = listen().await;
    let budget = Budget::new(1024 * 1024);
    let config = ServeConfig::new().budget(budget.clone());
    let service = service_fn(move |_: Request<Incoming>| {
        let used = budget.used();
        async move { Ok(Response::new(used.to_string())) }
    });
    tokio::spawn(sockeye::serve(listener, service).with_config(config).into_future());
    // Connections are accepted in their order.
    let _silent = connect(addr, "").await;
    let mut client = Http::open(addr).await;
    let used = client.exchange(&Get::get("/")).await;
    assert_eq!(used.text(), "14400", "12,700 bytes and 1,700, as measured");
}
