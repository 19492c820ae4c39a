//! Real Java programs as clients. Without a JDK these tests say so and pass, unless
//! `SOCKEYE_TEST_JDK` is `required`, as it is in `make test`.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::json;
use sockeye::TcpConfig;
use sockeye_apps::line_echo;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::chat::{Rooms, event, printed};
use common::records::{listen, within};
use common::transport::Transport;

/// The compiled programs of `tests/java`, or `None` and a message when there is no JDK.
fn programs() -> Option<&'static PathBuf> {
    static PROGRAMS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| {
        let classes = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("java");
        let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/java");
        let programs =
            ["ChatClient.java", "EchoClient.java", "Vectors.java"].map(|name| sources.join(name));
        let compiled =
            std::process::Command::new("javac").arg("-d").arg(&classes).args(programs).output();
        match compiled {
            Ok(output) if output.status.success() => Some(classes),
            Ok(output) => panic!("javac: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => {
                let required =
                    std::env::var("SOCKEYE_TEST_JDK").is_ok_and(|value| value == "required");
                assert!(!required, "javac: {error}: install a JDK (Debian: default-jdk-headless)");
                None
            }
        }
    });
    if programs.is_none() {
        eprintln!("no javac: the Java clients are not tested");
    }
    programs.as_ref()
}

fn java(program: &str) -> Option<Command> {
    let mut command = Command::new("java");
    // A client needs no more, and several run at once.
    command.args([
        "-Xshare:auto",
        "-XX:TieredStopAtLevel=1",
        "-Xmx32m",
        "-Dfile.encoding=UTF-8",
        "-Dsun.jnu.encoding=UTF-8",
    ]);
    command.env("LC_ALL", "C.UTF-8").arg("-cp").arg(programs()?).arg(program).kill_on_drop(true);
    Some(command)
}

async fn output(mut command: Command) -> String {
    let output = within(command.output()).await.expect("java runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The codec's test table agrees with this JDK.
#[tokio::test]
async fn the_table_of_vectors_is_this_jdks() {
    let Some(command) = java("Vectors") else { return };
    assert_eq!(output(command).await, include_str!("../../../../../tests/java/modified_utf8.txt"));
}

#[tokio::test]
async fn the_echo_client_of_the_notes() {
    if programs().is_none() {
        return;
    }
    let (addr, _) = listen(TcpConfig::default(), line_echo).await;
    for text in ["hello", "", "안녕 😀", &*"한".repeat(20_000)] {
        let mut command = java("EchoClient").expect("a JDK is there");
        command.args([&*addr.ip().to_string(), &*addr.port().to_string(), text]);
        assert_eq!(output(command).await, format!("Receive:[ECHO]{text}(from Server!)\n-1\n"));
    }
}

/// A running `ChatClient`.
struct Console {
    process: Child,
    typed: ChildStdin,
    shown: Lines<BufReader<ChildStdout>>,
}

impl Console {
    async fn start(rooms: &Rooms, name: &str) -> Option<Self> {
        let mut command = java("ChatClient")?;
        command.args([&*rooms.lines.ip().to_string(), &*rooms.lines.port().to_string(), name]);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("java runs");
        let typed = process.stdin.take().expect("piped");
        let shown = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut console = Self { process, typed, shown };
        assert!(console.shows().await.starts_with("Client LocalPort : "), "it has connected");
        Some(console)
    }

    async fn types(&mut self, line: &str) {
        self.typed.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
    }

    async fn shows(&mut self) -> String {
        within(self.shown.next_line()).await.expect("UTF-8").expect("a line")
    }
}

#[tokio::test]
async fn java_clients_and_a_page_chat() {
    let rooms = Rooms::open().await;
    let mut page = rooms.page("ann", Transport::XhrStreaming).await;
    let Some(mut park) = Console::start(&rooms, "park").await else { return };
    assert_eq!(event(&mut page).await["message"], "park joined");
    let mut lee = Console::start(&rooms, "이😀").await.expect("a JDK is there");
    assert_eq!(event(&mut page).await["message"], "이😀 joined");
    assert_eq!(park.shows().await, "#이😀 join!");

    let mut other = Console::start(&rooms, "park").await.expect("a JDK is there");
    assert_eq!(other.shows().await, "#Aleady exist name : park");
    assert_eq!(other.shows().await, "#Please reconnect by other name");
    assert_eq!(other.shows().await, "(end)");

    park.types("hello 안녕 😀").await;
    lee.types("[park]no, I am").await;
    page.send(&[&json!({"message": "from\na page"}).to_string()]).await;
    // Either may be first; all clients see one order.
    let mut order = Vec::new();
    for _ in 0..3 {
        let (name, text) = printed(&mut page)
            .await
            .split_once(" : ")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .expect("printed");
        order.push(format!("[{name}]{}", text.replace('\n', " ")));
    }
    for line in &order {
        assert_eq!((park.shows().await, lee.shows().await), (line.clone(), line.clone()));
    }
    order.sort();
    assert_eq!(order, ["[ann]from a page", "[park]hello 안녕 😀", "[이😀][park]no, I am"]);

    park.types("quit").await;
    assert!(within(park.process.wait()).await.expect("it ends").success());
    assert_eq!(lee.shows().await, "#park exit!");
    assert_eq!(event(&mut page).await["message"], "park left");
    // A console that is closed, Ctrl-C, a crash: the same.
    lee.process.start_kill().expect("it runs");
    assert_eq!(event(&mut page).await["message"], "이😀 left");
    drop(rooms.chat);
}
