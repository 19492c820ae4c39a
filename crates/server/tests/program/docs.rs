//! The commands and files in the documentation are those of this program, this Makefile and this
//! workspace: each command is run, or asked whether it exists.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::pages::{self, Block, Page, tree};

fn blocks(language: &str) -> Vec<Block> {
    let all = pages::all().into_iter().flat_map(|page| page.blocks());
    all.filter(|block| block.language == language && block.mark.is_none()).collect()
}

#[test]
fn every_command_on_a_page_can_be_given() {
    let mut given = 0;
    for block in blocks("sh") {
        // As a shell does, as far as the documentation needs it.
        let code = block.code.replace("\"$SECRET\"", "a-secret").replace("\\\n", " ");
        for line in code.lines().map(without_comment).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let outcome = match words[0] {
                "make" => make(&words[1..]),
                "cargo" => cargo(&words[1..]),
                "sockeye" | "target/release/sockeye" => sockeye(&words[1..]),
                word if word.contains('=') && words.len() == 1 => Ok(()),
                word => Err(format!("no test knows the command {word}")),
            };
            if let Err(reason) = outcome {
                panic!("{}: {line}: {reason}", block.place);
            }
            given += 1;
        }
    }
    assert!(given > 10, "{given}");
}

/// The targets exist, and `make` can print their commands.
fn make(targets: &[&str]) -> Result<(), String> {
    let mut command = Command::new("make");
    succeeds(command.arg("-n").args(targets).current_dir(tree()))
}

/// Packages, paths and commands of the program; nothing is built.
fn cargo(arguments: &[&str]) -> Result<(), String> {
    let (own, of_program) = match arguments.iter().position(|word| *word == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    for pair in own.windows(2) {
        let (name, value) = (pair[0], pair[1]);
        match name {
            "--path" if !tree().join(value).join("Cargo.toml").exists() => {
                return Err(format!("{value} is no crate"));
            }
            "-p" => {
                let mut command = Command::new(env!("CARGO"));
                let command = command.args(["pkgid", "--offline", "-p", value]);
                succeeds(command.current_dir(tree()))?;
            }
            _ => {}
        }
    }
    match own.first() {
        Some(&"run") => sockeye(of_program),
        Some(&("install" | "doc" | "test" | "build")) => Ok(()),
        _ => Err("no test knows this command of cargo".to_owned()),
    }
}

/// Serves, but on free ports; a comparison only explains itself, after it has read the command line.
fn sockeye(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.stdin(Stdio::null()).env_remove("RUST_LOG");
    if arguments.first() == Some(&"bench") {
        return succeeds(command.args(arguments).arg("--help"));
    }
    let mut arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    for pair in 1..arguments.len() {
        if ["--listen", "--tcp"].contains(&&*arguments[pair - 1]) {
            let (_, rest) = arguments[pair].split_once(':').ok_or("no port")?;
            let app = rest.find('=').map_or("", |at| &rest[at..]);
            arguments[pair] = format!("127.0.0.1:0{app}");
        }
    }
    if !arguments.iter().any(|word| word == "--listen") {
        arguments.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    }
    serves(command.args(arguments))
}

fn serves(command: &mut Command) -> Result<(), String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("stdout is readable");
    child.kill().expect("it has not been waited for");
    child.wait().expect("it ends");
    if line.starts_with("listening on http://") { Ok(()) } else { Err("it doesn't serve".into()) }
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(told) }
}

fn without_comment(line: &str) -> &str {
    line.split(" #").next().unwrap_or_default().trim().trim_start_matches('#').trim()
}

/// Each block is a file for `--ice`: the program takes no other JSON.
#[test]
fn every_json_file_on_a_page_is_one_that_the_program_takes() {
    for (index, block) in blocks("json").into_iter().enumerate() {
        let name = format!("docs-{}-{index}.json", std::process::id());
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, &block.code).expect("the folder is for that");
        let path = file.to_str().expect("UTF-8");
        sockeye(&["--ice", path]).unwrap_or_else(|reason| panic!("{}: {reason}", block.place));
    }
}

#[test]
fn every_option_has_its_row_with_the_default_that_the_program_tells() {
    let output = Command::new(env!("CARGO_BIN_EXE_sockeye")).arg("--help").output();
    let help = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
    let mut options: Vec<(String, Option<String>)> = Vec::new();
    for line in help.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("--").or(line.strip_prefix("-h, --")) {
            let name = rest.split([' ', '[']).next().unwrap_or_default();
            options.push((format!("--{name}"), None));
        }
        if let (Some((_, rest)), Some((_, default))) =
            (line.split_once("[default: "), options.last_mut())
        {
            *default = rest.split(']').next().map(str::to_owned);
        }
    }
    options.retain(|(name, _)| name != "--help" && name != "--version");
    let page = Page::read("docs/settings.md");
    let rows = page.table("## The program");
    let named = rows.iter().map(|row| row[0].trim_matches('`').to_owned());
    // Each setting of these has a flag.
    let settings =
        ["## The file", "## A server: `ServeConfig`", "## An endpoint: `EndpointConfig`"];
    let settings = settings.into_iter().flat_map(|heading| page.table(heading));
    let settings: Vec<_> = settings.filter(|row| row[0] != "`budget`").collect();
    let flag = |row: &Vec<String>| match row[0].trim_matches('`') {
        // Repeated, each time with one of them.
        "origins" => "--origin".to_owned(),
        key => format!("--{}", key.replace('_', "-")),
    };
    let mut named: Vec<String> = named.chain(settings.iter().map(flag)).collect();
    let mut names: Vec<&str> = options.iter().map(|(name, _)| &**name).collect();
    named.sort_unstable();
    names.sort_unstable();
    assert_eq!(named, names);
    // The defaults of settings are told by the table of which both are made.
    for row in &rows {
        let default = options.iter().find_map(|(name, default)| {
            (row[0] == format!("`{name}`")).then_some(default.as_ref())
        });
        if let Some(default) = default.expect("as above") {
            assert_eq!(row[2], format!("`{default}`"), "{}", row[0]);
        }
    }
}
