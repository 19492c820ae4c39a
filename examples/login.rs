//! Logged-in users, with axum: `cargo run --example login --features axum`.
//!
//! Logging in sets a cookie. A layer around the gateway finds the cookie's user and puts the user
//! into the request's extensions, where the handler of the session finds it. A request without a
//! user gets 401 before there is a session.
//!
//! ```sh
//! curl -i -d ann http://127.0.0.1:8081/login
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sockeye::{Gateway, Session};
use tokio::net::TcpListener;
use uuid::Uuid;

#[derive(Clone)]
struct User(Arc<str>);

/// Users by the value of their cookie.
#[derive(Clone, Default)]
struct Logins(Arc<Mutex<HashMap<String, User>>>);

impl Logins {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, User>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn user(&self, head: &HeaderMap) -> Option<User> {
        let cookies = head.get(header::COOKIE)?.to_str().ok()?;
        let login = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("login="))?;
        self.lock().get(login).cloned()
    }
}

/// A program for people asks for a password here.
async fn log_in(State(logins): State<Logins>, name: String) -> impl IntoResponse {
    let login = Uuid::new_v4().to_string();
    // `Strict`: pages of other sites open no sessions in this user's name.
    let cookie = format!("login={login}; Path=/; HttpOnly; SameSite=Strict");
    logins.lock().insert(login, User(name.into()));
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)])
}

async fn logged_in(State(logins): State<Logins>, mut request: Request, next: Next) -> Response {
    let Some(user) = logins.user(request.headers()) else {
        return (StatusCode::UNAUTHORIZED, "Log in first.\n").into_response();
    };
    request.extensions_mut().insert(user);
    next.run(request).await
}

async fn greet(mut session: Session) -> Result<(), Box<dyn Error + Send + Sync>> {
    let user = session.info().extensions().get::<User>().cloned();
    let User(name) = user.ok_or("no user: the gateway is mounted without its layer")?;
    session.send(format!("hello {name}")).await?;
    while let Some(message) = session.recv().await {
        session.send(format!("{name}: {}", message.as_text().unwrap_or("(bytes)"))).await?;
    }
    Ok(())
}

/// The routes; the layer is around the gateway's only.
pub(crate) fn app() -> Router {
    let logins = Logins::default();
    let gateway = Gateway::new().endpoint("/greet", greet);
    Router::new()
        .merge(gateway.into_axum().route_layer(from_fn_with_state(logins.clone(), logged_in)))
        .route("/login", post(log_in))
        .with_state(logins)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8081").await?;
    println!("listening on http://{}", listener.local_addr()?);
    sockeye::serve(listener, app()).await;
    Ok(())
}
