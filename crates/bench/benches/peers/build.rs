//! Other SockJS servers, from their registries.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A server that may be built here.
pub struct Peer {
    pub name: &'static str,
    folder: &'static str,
    /// The required tool, and the command that prints its version.
    tools: &'static [&'static [&'static str]],
    build: &'static [&'static str],
    run: &'static [&'static str],
    /// The file that names the library's version, and the text before it there.
    library: (&'static str, &'static str),
    /// Its runtime.
    runtime: &'static str,
    /// Whether it is compiled while it runs.
    learns: bool,
    /// Failures with a known cause: their message, and the cause.
    known: &'static [(&'static str, &'static str)],
}

/// All of them.
pub const PEERS: [Peer; 3] = [
    Peer {
        name: "sockjs-node",
        folder: "sockjs-node",
        tools: &[&["node", "--version"], &["npm", "--version"]],
        build: &["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        run: &["node", "server.js"],
        library: ("package.json", "\"sockjs\": \""),
        runtime: "Node.js",
        learns: true,
        known: &[],
    },
    Peer {
        name: "sockjs-go",
        folder: "sockjs-go",
        tools: &[&["go", "version"]],
        build: &["go", "build", "-o", "target/peer", "."],
        run: &["target/peer"],
        library: ("go.mod", "github.com/igm/sockjs-go/v3 "),
        runtime: "Go",
        learns: false,
        known: &[(
            "2010",
            "another goroutine than the one that answers a poll lets go of it, so a client that polls again at once may come too early",
        )],
    },
    Peer {
        name: "Spring Boot",
        folder: "spring",
        tools: &[&["java", "-version"], &["mvn", "--version"]],
        build: &["mvn", "--batch-mode", "--quiet", "package"],
        run: &["java", "-jar", "target/peer-spring.jar"],
        library: ("pom.xml", "<artifactId>spring-boot-starter-parent</artifactId>\n    <version>"),
        runtime: "Java",
        learns: true,
        known: &[],
    },
];

/// A server that can be started.
pub struct Built {
    pub name: &'static str,
    /// The versions of the library and of its runtime.
    pub version: String,
    pub learns: bool,
    pub known: &'static [(&'static str, &'static str)],
    folder: PathBuf,
    run: &'static [&'static str],
}

impl Peer {
    /// Builds it below the crate's `root`, or says why not.
    pub fn build(&self, root: &Path) -> Result<Built, String> {
        let folder = root.join("benches/peers").join(self.folder);
        let mut versions = Vec::new();
        for tool in self.tools {
            let output = Command::new(tool[0]).args(&tool[1..]).output();
            let output = output.map_err(|error| format!("{} cannot be run: {error}", tool[0]))?;
            // Java says it on stderr.
            let said = [output.stdout, output.stderr].concat();
            versions
                .push(String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned());
        }
        let output =
            Command::new(self.build[0]).args(&self.build[1..]).current_dir(&folder).output();
        let output = output.map_err(|error| format!("{} cannot be run: {error}", self.build[0]))?;
        if !output.status.success() {
            let said =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            let reason = said
                .lines()
                .find(|line| line.contains("rror"))
                .unwrap_or("it says nothing about it")
                .to_owned();
            return Err(format!("`{}` failed: {reason}", self.build.join(" ")));
        }
        let (file, before) = self.library;
        let text = std::fs::read_to_string(folder.join(file))
            .map_err(|error| format!("{file}: {error}"))?;
        let library = text
            .split_once(before)
            .map_or("?", |(_, after)| after.split(['"', '<', '\n']).next().unwrap_or("?"));
        let version = format!(
            "{} {} on {} {}",
            self.name,
            number(library),
            self.runtime,
            number(&versions[0])
        );
        Ok(Built {
            name: self.name,
            version,
            learns: self.learns,
            known: self.known,
            folder,
            run: self.run,
        })
    }
}

/// The number in a tool's version text.
fn number(said: &str) -> &str {
    let is_digit = |character: char| character.is_ascii_digit();
    let word = said
        .split([' ', '"'])
        .find(|word| word.contains('.') && word.contains(is_digit))
        .unwrap_or("?");
    word.trim_start_matches(|character| !is_digit(character))
}

impl Built {
    /// The command that starts it.
    pub fn command(&self) -> Command {
        let program = if self.run[0].contains('/') {
            self.folder.join(self.run[0])
        } else {
            self.run[0].into()
        };
        let mut command = Command::new(program);
        command.args(&self.run[1..]).current_dir(&self.folder);
        command
    }
}
