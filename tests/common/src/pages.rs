//! The pages of the tree: their blocks of code, their links, their headings.

use std::fs;
use std::path::{Path, PathBuf};

/// A page in Markdown.
#[derive(Debug)]
pub struct Page {
    /// Relative to the tree.
    pub path: PathBuf,
    pub text: String,
}

/// A fenced block of code.
#[derive(Debug)]
pub struct Block {
    /// The page's name and the line at which the block begins, for messages.
    pub place: String,
    /// Its first word: `rust` of `rust,no_run`.
    pub language: String,
    pub code: String,
    /// The reason, on the page in front of the block, for which no test runs it.
    pub mark: Option<String>,
}

/// The folder of the whole tree.
pub fn tree() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies in tests/common").to_owned()
}

/// The pages that people read: those at the top of the tree, in docs/, and each crate's.
pub fn all() -> Vec<Page> {
    let mut paths = Vec::new();
    for folder in ["", "docs", "crates/apps", "crates/bench", "crates/server"] {
        for entry in fs::read_dir(tree().join(folder)).expect("the folder is there") {
            let path = entry.expect("a folder can be read").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path.strip_prefix(tree()).expect("it was found there").to_owned());
            }
        }
    }
    paths.push("crates/apps/src/rooms/protocol.md".into());
    paths.sort();
    paths.into_iter().map(|path| Page::read(&path)).collect()
}

impl Page {
    pub fn read(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        let text = fs::read_to_string(tree().join(&path)).expect("pages are text");
        Self { path, text }
    }

    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut inside, mut mark) = (None::<usize>, None);
        for (index, line) in self.text.lines().enumerate() {
            let trimmed = line.trim_start();
            match (inside, trimmed.strip_prefix("```")) {
                (None, Some(language)) => {
                    inside = Some(line.len() - trimmed.len());
                    blocks.push(Block {
                        place: format!("{}:{}", self.path.display(), index + 1),
                        language: language.split(',').next().unwrap_or_default().to_owned(),
                        code: String::new(),
                        mark: mark.take(),
                    });
                }
                (Some(_), Some(_)) => inside = None,
                (Some(indent), None) => {
                    let block = blocks.last_mut().expect("a block has begun");
                    block.code.push_str(line.get(indent..).unwrap_or_default());
                    block.code.push('\n');
                }
                (None, None) if trimmed.is_empty() => {}
                (None, None) => {
                    let reason = trimmed.strip_prefix("*Not run by a test: ");
                    mark = reason.map(|reason| reason.trim_end_matches('*').to_owned());
                }
            }
        }
        blocks
    }

    /// Without blocks of code, and without code in a line, one line for each paragraph.
    pub fn prose(&self) -> String {
        let (mut prose, mut inside) = (String::new(), false);
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                prose.push_str(line);
                // A link may be broken between two lines.
                prose.push(if line.is_empty() { '\n' } else { ' ' });
            }
        }
        let parts = prose.split('`').enumerate();
        parts.map(|(index, part)| if index % 2 == 0 { part } else { "code" }).collect()
    }

    /// The addresses of links and pictures, in the order of the page.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let mut links = Vec::new();
        for (start, end) in [("](", ")"), ("src=\"", "\""), ("href=\"", "\"")] {
            for part in prose.split(start).skip(1) {
                links.push(part.split(end).next().unwrap_or_default().to_owned());
            }
        }
        let definitions = self.text.lines().filter(|line| line.starts_with('['));
        links.extend(definitions.filter_map(|line| Some(line.split_once("]: ")?.1.to_owned())));
        links
    }

    /// What stands behind `#` in a link to one of its headings, as forges make it.
    pub fn anchors(&self) -> Vec<String> {
        let mut inside = false;
        let mut anchors: Vec<String> = Vec::new();
        for line in self.text.lines() {
            inside ^= line.trim_start().starts_with("```");
            let title = line.trim_start_matches('#');
            if inside || title.len() == line.len() || !title.starts_with(' ') {
                continue;
            }
            let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ';
            let slug: String = title.trim().to_lowercase().chars().filter(|c| kept(*c)).collect();
            let slug = slug.replace(' ', "-");
            let repeated = anchors.iter().filter(|other| **other == slug).count();
            anchors.push(if repeated == 0 { slug } else { format!("{slug}-{repeated}") });
        }
        anchors
    }

    /// The cells of each row of the table below a heading, without its head.
    pub fn table(&self, heading: &str) -> Vec<Vec<String>> {
        let start = self.text.find(&format!("\n{heading}\n")).expect("the heading is there");
        let section = &self.text[start + heading.len()..];
        let rows = section.lines().skip_while(|line| !line.starts_with('|'));
        let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
        rows.map(|row| {
            let cells = row.trim().trim_start_matches('|').trim_end_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
    }
}
