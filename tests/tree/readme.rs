//! What README.md repeats of other pages is what those pages say.

/// The tables of the signaling protocol stand in `crates/apps/src/rooms/protocol.md`; README.md has
/// a copy, whose links lead to the documentation.
#[test]
fn the_tables_of_the_signaling_protocol_are_those_of_its_page() {
    let page = include_str!("../../crates/apps/src/rooms/protocol.md");
    let readme = include_str!("../../README.md");
    let copy = between(readme, "### From the client", "## Coming from");
    let original = between(page, "## From the client", "**Polite.**");
    let rows = |text: &str| -> Vec<String> {
        let local = text.replace(
            "https://docs.rs/sockeye-apps/latest/sockeye_apps/rooms/protocol/index.html#",
            "#",
        );
        local.lines().filter(|line| line.starts_with('|')).map(str::to_owned).collect()
    };
    assert!(rows(original).len() > 40, "the tables are there");
    assert_eq!(rows(copy), rows(original));
}

#[test]
fn every_setting_of_an_endpoint_has_its_row() {
    let table = between(include_str!("../../README.md"), "## Settings", "## From Rust");
    let fields =
        between(include_str!("../../src/gateway/config.rs"), "pub struct EndpointConfig {", "\n}");
    let names: Vec<&str> = fields
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(table.contains(&format!("`{name}`")), "{name} is not in the table");
    }
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).expect("the heading");
    let end = start + text[start..].find(to).expect("what follows");
    &text[start..end]
}
