//! What the pages say of the code and of each other is so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use common::pages::{self, Page, tree};

/// A visitor reads the first screen, and decides.
#[test]
fn the_first_page_is_short_and_begins_with_what_counts() {
    let readme = Page::read("README.md").text;
    assert!(readme.lines().count() <= 180, "{} lines", readme.lines().count());
    let screen: Vec<&str> = readme.lines().take(48).collect();
    let screen = screen.join("\n");
    let mut rest = &*screen;
    for part in ["# Sockeye\n", "<img src=", "\n- **", "```sh\nmake run", "\nmake test", "```rust"]
    {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is not where it belongs"));
        rest = &rest[at + part.len()..];
    }
    assert!(rest.contains("\n```"), "the program ends on the first screen");
    assert_eq!(screen.matches("\n- **").count(), 5);
}

/// A link to a page that doesn't exist, or to another project's page of the same name, sends
/// visitors away.
#[test]
fn every_link_leads_to_something_in_the_tree_or_to_a_known_page_elsewhere() {
    const ELSEWHERE: [&str; 4] = [
        "https://github.com/sockjs/sockjs-client",
        "https://hyper.rs",
        "https://keepachangelog.com/",
        "https://semver.org/",
    ];
    let all = pages::all();
    let anchors: BTreeMap<PathBuf, Vec<String>> =
        all.iter().map(|page| (page.path.clone(), page.anchors())).collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in &all {
        for link in page.links() {
            seen += 1;
            if link.contains("://") {
                if !ELSEWHERE.iter().any(|known| link.starts_with(known)) {
                    wrong.push(format!("{}: {link}: no known page", page.path.display()));
                }
                continue;
            }
            let (path, anchor) = link.split_once('#').map_or((&*link, None), |(p, a)| (p, Some(a)));
            let folder = page.path.parent().unwrap_or(Path::new(""));
            let target =
                if path.is_empty() { page.path.clone() } else { plain(&folder.join(path)) };
            if !tree().join(&target).exists() {
                wrong.push(format!("{}: {link}: no such file", page.path.display()));
            } else if let Some(anchor) = anchor {
                let known = anchors.get(&target).map(Vec::as_slice).unwrap_or_default();
                if !known.iter().any(|other| other == anchor) {
                    wrong.push(format!("{}: {link}: no such heading", page.path.display()));
                }
            }
        }
    }
    assert!(seen > 100, "{seen} links");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The project has no home on the net and is on no registry: an address that names it is another's,
/// now or later.
#[test]
fn no_page_and_no_manifest_names_an_address_of_this_project() {
    let strangers = ["sockeye-rs", "docs.rs/sockeye", "crates.io/crates/sockeye"];
    for page in pages::all() {
        for stranger in strangers {
            assert!(!page.text.contains(stranger), "{}: {stranger}", page.path.display());
        }
    }
    for manifest in ["Cargo.toml", "crates/apps/Cargo.toml", "crates/bench/Cargo.toml"]
        .into_iter()
        .chain(["crates/server/Cargo.toml", "tests/common/Cargo.toml", "fuzz/Cargo.toml"])
    {
        for line in read(manifest).lines() {
            let key = line.split(['=', '.']).next().unwrap_or_default().trim();
            let is_address = ["repository", "documentation", "homepage"].contains(&key);
            assert!(!is_address, "{manifest}: {line}");
        }
    }
}

/// Rust is compiled as doctests, which need each page to be named in a crate. Other languages have
/// tests of their own: `program/docs.rs` of the program and `docs.test.mjs` of the clients.
#[test]
fn every_block_has_a_test_or_a_mark_with_the_reason() {
    let compiled =
        [("src/lib.rs", "../"), ("crates/apps/src/lib.rs", "../")].map(|(file, root)| {
            let crate_folder =
                Path::new(file).parent().and_then(Path::parent).unwrap_or(Path::new(""));
            (read(file), root, crate_folder.to_owned())
        });
    let mut seen = BTreeMap::new();
    for page in pages::all() {
        let is_compiled = compiled.iter().any(|(code, root, folder)| {
            let below = page.path.strip_prefix(folder);
            below.is_ok_and(|path| code.contains(&format!("{root}{}\")]", path.display())))
        });
        for block in page.blocks() {
            *seen.entry(block.language.clone()).or_insert(0) += 1;
            match &*block.language {
                "rust" => assert!(is_compiled, "{}: no crate's doctests name it", block.place),
                "sh" | "toml" | "json" | "nginx" | "html" | "js" => {}
                _ => assert!(
                    block.mark.is_some(),
                    "{}: no test runs it, and no line \"*Not run by a test: …*\" says why",
                    block.place
                ),
            }
        }
    }
    for language in ["rust", "sh", "toml", "json", "nginx", "html", "js"] {
        assert!(seen.contains_key(language), "{language}: {seen:?}");
    }
}

/// What a user pastes into a manifest: it names the crates where they are, and features that exist.
#[test]
fn manifests_on_pages_name_crates_and_features_that_exist() {
    let mut seen = 0;
    for page in pages::all() {
        for block in page.blocks().into_iter().filter(|block| block.language == "toml") {
            for line in block.code.lines().filter(|line| line.starts_with("sockeye")) {
                seen += 1;
                let (name, rest) = line.split_once(" = ").expect("a dependency");
                let path = quoted(rest, "path = ").expect("no registry has it");
                let folder = path.strip_prefix("../sockeye").expect("beside the user's own");
                let manifest = read(Path::new(folder.trim_start_matches('/')).join("Cargo.toml"));
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{}", block.place);
                let features = rest.split_once("features = [").map_or("", |(_, list)| list);
                for feature in features.split('"').skip(1).step_by(2) {
                    assert!(manifest.contains(&format!("\n{feature} = [")), "{feature}: {line}");
                }
            }
        }
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn every_page_that_names_a_compiler_names_the_oldest_that_will_do() {
    let manifest = read("Cargo.toml");
    let version = quoted(&manifest, "rust-version = ").expect("the workspace says it");
    let told = format!("{version} or later");
    let mut named = Vec::new();
    for page in pages::all() {
        // A changelog tells of others too.
        if page.path == Path::new("CHANGELOG.md") {
            continue;
        }
        let words = page.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for rest in words.split("Rust ").skip(1).filter(|rest| rest.starts_with("1.")) {
            assert!(rest.starts_with(&told), "{}: Rust {rest:.20}", page.path.display());
            named.push(page.path.clone());
        }
    }
    for path in ["README.md", "CONTRIBUTING.md", "docs/library.md", "docs/program.md"] {
        assert!(named.iter().any(|page| page == Path::new(path)), "{path}: {named:?}");
    }
}

/// A reader pastes a block into a file, and it compiles there: a program, or a test. What hides from
/// the documentation of Rust shows on a page.
#[test]
fn every_block_of_rust_is_a_whole_file() {
    for page in pages::all() {
        for block in page.blocks().into_iter().filter(|block| block.language == "rust") {
            let whole = ["\nasync fn main()", "\nfn main()", "\n#[tokio::test("];
            assert!(whole.iter().any(|part| block.code.contains(part)), "{}", block.place);
            let hidden = block.code.lines().find(|line| line.trim_start().starts_with("# "));
            assert_eq!(hidden, None, "{}", block.place);
        }
    }
}

/// A setting without a row is one that no operator finds, and a default that is wrong is worse.
#[test]
fn every_setting_has_its_row_with_the_default_that_the_code_tells() {
    let page = Page::read("docs/settings.md");
    for (heading, file, of) in [
        ("A server: `ServeConfig`", "src/serve/config.rs", "ServeConfig"),
        ("A drain: `DrainConfig`", "src/gateway/drain.rs", "DrainConfig"),
        ("An endpoint: `EndpointConfig`", "src/gateway/config.rs", "EndpointConfig"),
        ("A TCP endpoint: `TcpConfig`", "src/gateway/tcp.rs", "TcpConfig"),
        ("The chat: `ChatConfig`", "crates/apps/src/chat/config.rs", "ChatConfig"),
        ("Rooms for calls: `RoomsConfig`", "crates/apps/src/rooms/config.rs", "RoomsConfig"),
        ("ICE servers: `IceConfig`", "crates/apps/src/ice/config.rs", "IceConfig"),
        ("A backend: `UpstreamConfig`", "crates/apps/src/upstream/config.rs", "UpstreamConfig"),
        ("The client: `Builder`", "src/client/builder.rs", "Builder"),
    ] {
        let code = read(file);
        let fields = match of {
            "Builder" => documented(between(&code, "impl Builder {", "\n}"), "pub fn ", "("),
            _ => documented(between(&code, &format!("pub struct {of} {{"), "\n}"), "pub ", ":"),
        };
        let fields: Vec<_> =
            fields.into_iter().filter(|(_, doc)| doc.contains("Default")).collect();
        let rows = page.table(&format!("## {heading}"));
        let mut named: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
        named.sort_unstable();
        names.sort_unstable();
        assert_eq!(named, names, "{heading}, {file}");
        assert!(names.len() >= 5, "{heading}: {names:?}");
        for (name, doc) in &fields {
            let row = rows.iter().find(|row| row[0].trim_matches('`') == name).expect("as above");
            let told = format!("Default: {}", row[2]);
            let rest = doc.split_once(&told).map(|(_, rest)| rest);
            assert!(
                rest.is_some_and(|rest| rest.is_empty()
                    || rest.starts_with(['.', ',', ';'])
                    || rest.starts_with(" (")),
                "{name}: the page says {told:?}, {file} says: {doc}"
            );
        }
    }
}

/// The names of public items, and what is said of each in one line.
fn documented(code: &str, before: &str, after: &str) -> Vec<(String, String)> {
    let (mut found, mut doc) = (Vec::new(), Vec::new());
    for line in code.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if let Some((name, _)) =
            line.strip_prefix(before).and_then(|rest| rest.split_once(after))
        {
            found.push((name.to_owned(), doc.join(" ")));
            doc.clear();
        } else if !line.starts_with('#') {
            doc.clear();
        }
    }
    found
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).expect("the beginning") + from.len();
    let end = start + text[start..].find(to).expect("what follows");
    &text[start..end]
}

fn quoted<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    text.split_once(before)?.1.strip_prefix('"')?.split('"').next()
}

/// Without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(tree().join(path)).expect("the file is text")
}
