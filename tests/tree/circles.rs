//! The files of the crates below the library form no circles: no file uses a file that uses it,
//! directly or through others. So each file can be read with only the files below it in mind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Edges = BTreeMap<String, BTreeSet<String>>;

#[test]
fn files_use_only_files_below_them() {
    for name in ["apps", "bench", "server"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(name).join("src");
        let files = sources(&folder);
        assert!(files.len() > 10, "the sources of {name} were not found: {}", files.len());
        let code = files.iter().map(|file| {
            (module(&folder, file), fs::read_to_string(file).expect("sources are text"))
        });
        assert_eq!(circle(&edges(&code.collect())), Vec::<String>::new(), "in {name}");
    }
}

/// In the library the rooms keep their order (`architecture`), and this one keeps it inside as well.
#[test]
fn files_of_the_client_use_only_files_below_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&folder.join("client"));
    assert!(files.len() > 10, "the sources were not found: {}", files.len());
    let code = files
        .iter()
        .map(|file| (module(&folder, file), fs::read_to_string(file).expect("sources are text")));
    assert_eq!(circle(&edges(&code.collect())), Vec::<String>::new());
}

/// The test of this test.
#[test]
fn a_circle_is_found_however_it_is_written() {
    let circle_of = |files: &[(&str, &str)]| {
        let code = files.iter().map(|(name, code)| ((*name).to_owned(), (*code).to_owned()));
        circle(&edges(&code.collect()))
    };
    for back in [
        "use super::b::T;",
        "use super::{c, b};",
        "use crate::app::{c::{D, E}, b::{self}};",
        "fn f() -> crate::app::b::T {}",
    ] {
        let found = circle_of(&[("app::a", back), ("app::b", "use super::a;"), ("app::c", "")]);
        assert_eq!(found, ["app::a", "app::b"], "{back}");
    }
    let parent = [("app", "pub use self::a::T;"), ("app::a", "use super::U;")];
    assert_eq!(circle_of(&parent), ["app", "app::a"]);
    for fine in [
        "// use super::b;",
        "/// [`T`](super::b::T)\nstruct S;",
        "#[cfg(test)]\nmod tests {\n    use super::b;\n}",
        "use super::c;",
    ] {
        let found = circle_of(&[("app::a", fine), ("app::b", "use super::a;"), ("app::c", "")]);
        assert!(found.is_empty(), "{fine}: {found:?}");
    }
}

/// The files that each file uses.
fn edges(code: &BTreeMap<String, String>) -> Edges {
    let used = |(module, text): (&String, &String)| {
        let text = without_comments_and_tests(text);
        let files = paths(&text).into_iter().filter_map(|path| file(code, &absolute(module, path)));
        (module.clone(), files.filter(|file| file != module).collect())
    };
    code.iter().map(used).collect()
}

/// The file that holds the item at this path: the longest part of the path that is a module.
fn file(code: &BTreeMap<String, String>, path: &[String]) -> Option<String> {
    let parents = (0..=path.len()).rev().map(|end| path[..end].join("::"));
    parents
        .map(|name| if name.is_empty() { "lib".to_owned() } else { name })
        .find(|name| code.contains_key(name))
}

/// A path from the top of the crate.
fn absolute(module: &str, path: Vec<String>) -> Vec<String> {
    let module: Vec<_> = module.split("::").map(str::to_owned).collect();
    let ups = path.iter().take_while(|part| *part == "super").count();
    let base =
        if path[0] == "crate" { &[][..] } else { &module[..module.len().saturating_sub(ups)] };
    let rest = path.iter().skip(ups.max(1)).filter(|part| *part != "self");
    base.iter().chain(rest).cloned().collect()
}

/// The paths that begin at the crate or at a module.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("::") {
        let start = code[..at].rfind(|c: char| !is_name(c)).map_or(0, |before| before + 1);
        // An item's visibility is no use of a file: `pub(in crate::session)`.
        let begins = ["::", "(in "].iter().all(|before| !code[..start].ends_with(before));
        if begins && ["crate", "super", "self"].contains(&&code[start..at]) {
            tree(&code[start..], &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Reads a path, or the tree of paths of a `use`; returns the code behind it.
fn tree<'c>(code: &'c str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'c str {
    let depth = before.len();
    let mut rest = code.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        while !rest.is_empty() && !rest.starts_with('}') {
            rest = tree(rest, before, found);
            // A new name behind `as` is no part of the path.
            rest = rest[rest.find([',', '}']).unwrap_or(rest.len())..]
                .trim_start_matches(',')
                .trim_start();
        }
        return rest.strip_prefix('}').unwrap_or(rest);
    }
    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    before.push(rest[..end].to_owned());
    rest = &rest[end..];
    match rest.strip_prefix("::").filter(|_| end > 0) {
        Some(more) => rest = tree(more, before, found),
        None => found.push(before.clone()),
    }
    before.truncate(depth);
    rest
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The files of one circle, if there is one.
fn circle(edges: &Edges) -> Vec<String> {
    let mut left = edges.clone();
    // A file that uses none of those left, or that none of those left uses, is in no circle.
    loop {
        let used: BTreeSet<String> = left.values().flatten().cloned().collect();
        let before = left.len();
        left.retain(|file, uses| !uses.is_empty() && used.contains(file));
        let files: BTreeSet<String> = left.keys().cloned().collect();
        left.values_mut().for_each(|uses| uses.retain(|file| files.contains(file)));
        if left.len() == before {
            return files.into_iter().collect();
        }
    }
}

/// The tests of a file may use all of it.
fn without_comments_and_tests(code: &str) -> String {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().flat_map(|line| [line.split("//").next().unwrap_or_default(), "\n"]).collect()
}

fn module(folder: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(folder).expect("it was found there").with_extension("");
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("::").trim_end_matches("::mod").to_owned()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("a folder can be read").path();
        match path.file_stem().and_then(|stem| stem.to_str()) {
            Some("tests") => {}
            _ if path.is_dir() => files.extend(sources(&path)),
            _ if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            _ => {}
        }
    }
    files
}
