//! The credentials that `/ice` computes, proven against the TURN server they are for: a real coturn
//! on loopback.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use sockeye_apps::ice::{Ice, IceConfig};

const SECRET: &str = "north by northwest";

#[tokio::test]
async fn coturn_takes_what_the_shared_secret_gives_and_nothing_else() {
    let server = Coturn::start();
    let (username, credential) = handed_out(SECRET, server.port).await;
    assert!(server.allocate(&username, &credential).success(), "refused:\n{}", server.log());

    let (username, credential) = handed_out("another secret", server.port).await;
    assert!(
        !server.allocate(&username, &credential).success(),
        "a wrong secret was taken:\n{}",
        server.log()
    );

    // The password belongs to this very name, with its date.
    let (username, credential) = handed_out(SECRET, server.port).await;
    let later = username.replacen(|digit: char| digit.is_ascii_digit(), "9", 1);
    assert!(
        !server.allocate(&later, &credential).success(),
        "another date was taken:\n{}",
        server.log()
    );
}

/// Name and password from an answer.
async fn handed_out(secret: &str, port: u16) -> (String, String) {
    let config =
        json!({"iceServers": [{"urls": format!("turn:127.0.0.1:{port}"), "secret": secret}]});
    let ice = Ice::new(IceConfig::from_json(&config.to_string()).expect("a configuration"));
    let response = ice.answer(&Request::get("/ice").body(()).expect("a request"));
    let body = response.into_body();
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    let member = |name: &str| answer["iceServers"][0][name].as_str().expect("text").to_owned();
    (member("username"), member("credential"))
}

/// A coturn with a configuration of its own, ended when dropped.
struct Coturn {
    process: Child,
    directory: PathBuf,
    port: u16,
}

impl Coturn {
    fn start() -> Self {
        // Another process may take the port before the server binds it.
        for _ in 0..5 {
            let mut server = Self::spawn();
            if server.answers() {
                return server;
            }
            eprintln!("turnserver did not start:\n{}", server.log());
        }
        panic!("turnserver does not start");
    }

    fn spawn() -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("sockeye-coturn-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory for coturn");
        let port = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let at = |file: &str| directory.join(file).display().to_string();
        let config = format!(
            "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nlistening-port={port}\nrealm=sockeye.test\nuse-auth-secret\n\
             static-auth-secret={SECRET}\nrelay-threads=1\nno-tcp\nno-tls\nno-dtls\nno-cli\nallow-loopback-peers\nfingerprint\n\
             log-file=stdout\nsimple-log\npidfile={}\nuserdb={}\n",
            at("pid"),
            at("db")
        );
        fs::write(directory.join("turnserver.conf"), config).expect("coturn's configuration");
        let log = File::create(directory.join("log")).expect("coturn's log");
        let process = command("turnserver")
            .arg("-c")
            .arg(directory.join("turnserver.conf"))
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("turnserver: {error}: install it, on Debian with `apt-get install coturn`")
            });
        Self { process, directory, port }
    }

    /// Waits for the answer to a STUN binding request (RFC 8489, 5).
    fn answers(&mut self) -> bool {
        let request = *b"\x00\x01\x00\x00\x21\x12\xa4\x42sockeye-test";
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        (0..100).any(|_| {
            // Errors mean that no server listens yet.
            let _ = socket.send_to(&request, ("127.0.0.1", self.port));
            let answered = socket.recv_from(&mut [0; 512]).is_ok();
            answered || self.process.try_wait().is_ok_and(|ended| ended.is_some())
        }) && self.process.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Lets coturn's own client allocate relay addresses and send a message through them.
    fn allocate(&self, username: &str, password: &str) -> ExitStatus {
        let mut client = command("turnutils_uclient");
        client.args(["-y", "-c", "-n", "1", "-m", "1", "-u", username, "-w", password]);
        client.args(["-p", &self.port.to_string(), "127.0.0.1"]);
        let log = File::options().append(true).open(self.directory.join("log")).expect("the log");
        client.stdout(log.try_clone().expect("a second handle")).stderr(log);
        client
            .status()
            .unwrap_or_else(|error| panic!("turnutils_uclient: {error}: it comes with coturn"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn command(name: &str) -> Command {
    let mut command = Command::new(name);
    // Debian keeps servers out of the path of others than root.
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::null())
        .current_dir(Path::new("/"));
    command
}
