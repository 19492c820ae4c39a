//! Each setting, from its text to its value and back, and what a wrong text is answered with.

use std::fmt::Debug;
use std::fs;

use clap::{Args, Command, FromArgMatches};
use common::pages::{Page, tree};
use sockeye_apps::ice::{Credentials, IceConfig};

use super::tables::{
    CHAT, ENDPOINT, Group, ICE, ICE_SERVER, PROGRAM, ROOMS, SERVER, Setting, TCP, UPSTREAM,
};
use super::value::{Kind, Size, Time, TimeOrZero, Value};
use super::*;

/// A place of a group in a file, as its section's head and the path in messages.
struct Place {
    head: &'static str,
    path: &'static str,
}

/// What a test asks of the group at a place.
trait Visitor {
    fn visit<C: Default + Debug>(&mut self, group: &Group<C>, place: &Place);
}

fn visit_all(visitor: &mut impl Visitor) {
    let app = |app: &str| -> &'static str {
        format!(
            "[endpoint.\"/x\"]\napp = \"{app}\"\n[endpoint.\"/x\".{}]\n",
            app.split('=').next().unwrap_or(app)
        )
        .leak()
    };
    visitor.visit(&PROGRAM, &Place { head: "", path: "" });
    visitor.visit(&SERVER, &Place { head: "[server]\n", path: "server." });
    visitor.visit(&ENDPOINT, &Place { head: "[endpoints]\n", path: "endpoints." });
    visitor
        .visit(&ENDPOINT, &Place { head: "[endpoint.\"/echo\"]\n", path: "endpoint.\"/echo\"." });
    visitor.visit(&CHAT, &Place { head: app("chat"), path: "endpoint.\"/x\".chat." });
    visitor.visit(&ROOMS, &Place { head: app("rooms"), path: "endpoint.\"/x\".rooms." });
    let upstream =
        "[endpoint.\"/x\"]\napp = \"upstream=ws://127.0.0.1:1/\"\n[endpoint.\"/x\".upstream]\n";
    visitor.visit(&UPSTREAM, &Place { head: upstream, path: "endpoint.\"/x\".upstream." });
    let tcp = "[tcp.\"127.0.0.1:9999\"]\napp = \"chat\"\n";
    visitor.visit(&TCP, &Place { head: tcp, path: "tcp.\"127.0.0.1:9999\"." });
    visitor.visit(&ICE, &Place { head: "[ice]\n", path: "ice." });
    visitor.visit(&ICE_SERVER, &Place { head: "[[ice.servers]]\n", path: "ice.servers[0]." });
}

/// The default's text, or the example's.
fn text_of<C: Default>(setting: &Setting<C>) -> String {
    let value = (setting.show)(&C::default());
    let example = || Value::Text(setting.example.expect("an unset one has an example").to_owned());
    value.unwrap_or_else(example).to_string()
}

/// A key that a table knows and the reader doesn't, or the other way round, is one that an operator
/// writes in vain.
#[test]
fn every_key_is_read_at_its_place_and_a_wrong_value_is_told_with_it() {
    struct Reads(usize);
    impl Visitor for Reads {
        fn visit<C: Default + Debug>(&mut self, group: &Group<C>, place: &Place) {
            for setting in group.settings {
                let (key, value) = (setting.key, text_of(setting));
                let text = format!("{}{key} = {value}\n", place.head);
                let read = file::read(&text);
                assert!(read.is_ok(), "{text}: {read:?}");

                // No setting is a date.
                let wrong = format!("{}{key} = 1979-05-27\n", place.head);
                let problems = file::read(&wrong).expect_err(&wrong);
                assert_eq!(problems.len(), 1, "{wrong}: {problems:?}");
                assert_eq!(problems[0].path, format!("{}{key}", place.path));
                let line = wrong.lines().count();
                let start = format!("error: f:{line}:{}: ", key.len() + 4);
                let told = problems[0].render("f", &wrong);
                assert!(told.starts_with(&start), "{told}");

                // What is shown is what was read.
                let mut config = C::default();
                let shown = (setting.show)(&config);
                if let Some(value) = &shown {
                    (setting.set)(&mut config, value).expect("a default is a good value");
                    assert_eq!((setting.show)(&config), shown, "{key}");
                    assert_eq!(format!("{config:?}"), format!("{:?}", C::default()), "{key}");
                }
                self.0 += 1;
            }
        }
    }
    let mut reads = Reads(0);
    visit_all(&mut reads);
    assert!(reads.0 > 120, "{}", reads.0);
}

/// A field of the library that no table names can't be set by an operator. `budget` is one for all:
/// `memory`.
#[test]
fn every_field_of_the_configurations_is_a_setting() {
    struct Fields;
    impl Visitor for Fields {
        fn visit<C: Default + Debug>(&mut self, group: &Group<C>, _: &Place) {
            for line in format!("{:#?}", C::default()).lines() {
                let Some(line) = line.strip_prefix("    ") else { continue };
                let Some((field, _)) = line.split_once(": ") else { continue };
                if line.starts_with(' ') || field == "budget" {
                    continue;
                }
                assert!(
                    group.find(field).is_some(),
                    "{field} is missing in the table of {}: add it in crates/server/src/settings/tables.rs",
                    group.heading
                );
            }
        }
    }
    visit_all(&mut Fields);
}

/// The tables of the page are made here; `UPDATE_DOCS=1` writes them.
#[test]
fn the_tables_of_the_docs_are_those_of_the_program() {
    struct Tables(String);
    impl Visitor for Tables {
        fn visit<C: Default + Debug>(&mut self, group: &Group<C>, _: &Place) {
            let heading = format!("\n## {}\n", group.heading);
            let page = &self.0;
            let start = page.find(&heading).unwrap_or_else(|| panic!("{heading}")) + heading.len();
            let rows = start + page[start..].find("\n|---").expect("a table") + 1;
            let rows = rows + page[rows..].find('\n').expect("rows") + 1;
            let end = page[rows..].find("\n\n").map_or(page.len(), |at| rows + at + 1);
            let rows_now = rows_of(group);
            self.0.replace_range(rows..end, &rows_now);
        }
    }
    let path = "docs/settings.md";
    let page = Page::read(path).text;
    let mut tables = Tables(page.clone());
    visit_all(&mut tables);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(tree().join(path), &tables.0).expect("the page can be written");
    }
    let differs = page.lines().zip(tables.0.lines()).find(|(page, made)| page != made);
    let advice = "UPDATE_DOCS=1 cargo test -p sockeye-server settings:: writes the tables";
    assert!(page == tables.0, "{path}: {differs:#?}: {advice}");
}

fn rows_of<C: Default>(group: &Group<C>) -> String {
    let mut rows = String::new();
    // The table of `IceConfig` is one of the library's, which reads no file.
    for setting in group.settings.iter().filter(|setting| setting.key != "token_file") {
        let default = in_words(setting.key, (setting.show)(&C::default()).as_ref());
        let Setting { key, unit, effect, .. } = setting;
        rows.push_str(&format!("| `{key}` | {unit} | {default} | {effect} |\n"));
    }
    if !group.beside.is_empty() {
        rows.push_str(&format!("{}\n", group.beside));
    }
    rows
}

/// A default as the documentation of the library writes it.
fn in_words(key: &str, value: Option<&Value>) -> String {
    match (key, value) {
        ("transports", _) => "all".to_owned(),
        ("inbound_rate", _) => "as fast as it can".to_owned(),
        ("client_url", _) => "sockjs-client 1.6.1 from a public CDN".to_owned(),
        ("kept_headers", _) => "those that identify and locate the client".to_owned(),
        ("least_rate", _) => "1,024".to_owned(),
        ("cookies", _) | (_, None) => "none".to_owned(),
        (_, Some(Value::Switch(on))) => if *on { "yes" } else { "no" }.to_owned(),
        (_, Some(Value::Number(number))) => {
            let digits = number.to_string();
            let groups = digits.as_bytes().rchunks(3).rev();
            let groups = groups.map(|group| String::from_utf8_lossy(group).into_owned());
            groups.collect::<Vec<_>>().join(",")
        }
        (_, Some(Value::List(texts))) if texts.is_empty() => "none".to_owned(),
        (_, Some(Value::List(texts))) => format!("`{}`", texts.join("`, `")),
        (_, Some(Value::Text(text))) => match text.find(|c: char| !c.is_ascii_digit()) {
            Some(at @ 1..) if text[at..].chars().all(|c| c.is_ascii_alphabetic()) => {
                format!("{} {}", &text[..at], &text[at..])
            }
            Some(1..) if text.ends_with("iB") => text.clone(),
            _ => format!("`{text}`"),
        },
    }
}

fn file(text: &str) -> File {
    File::parse("sockeye.toml".to_owned(), text.to_owned()).expect("a good file")
}

/// What an operator reads about a file.
fn told(text: &str) -> String {
    let read = File::parse("sockeye.toml".to_owned(), text.to_owned());
    read.and_then(|file| file.plan().map(|_| ())).expect_err(text)
}

#[test]
fn the_example_holds_each_setting_and_is_a_good_file() {
    let example = print(&Settings::default(), &IceConfig::default(), true);
    file(&example).plan().map(|_| ()).expect("the defaults fit together");
    let printed = print(file(&example).settings(), &IceConfig::default(), true);
    assert_eq!(printed, example, "the file of the defaults changes nothing");

    // Without the marks of what is not set, all in it is read. Of two that say the same, one is
    // left out.
    let alternatives =
        ["token_file", "password", "password_file", "username", "secret_file", "ca_file"];
    let whole = example.lines().filter_map(|line| {
        let marked = line.strip_prefix('#').filter(|line| !line.starts_with(' '));
        let line = marked.unwrap_or(line);
        let key = line.split(" =").next().unwrap_or_default();
        (!alternatives.contains(&key)).then(|| format!("{line}\n"))
    });
    let whole: String = whole.collect();
    let plan = file(&whole).plan().unwrap_or_else(|told| panic!("{told}"));
    assert_eq!((plan.endpoints.len(), plan.tcp.len(), plan.ice.servers.len()), (6, 1, 1));

    struct Explained(String);
    impl Visitor for Explained {
        fn visit<C: Default + Debug>(&mut self, group: &Group<C>, _: &Place) {
            for Setting { key, unit, effect, .. } in group.settings {
                let line = format!("\n# {unit}: {effect}\n");
                assert!(self.0.contains(&line), "{key} is not explained");
                let set = [format!("\n{key} = "), format!("\n#{key} = ")];
                assert!(set.iter().any(|set| self.0.contains(set)), "{key} has no value");
            }
        }
    }
    visit_all(&mut Explained(example));
}

#[test]
fn an_endpoint_stands_over_all_and_all_over_its_app() {
    let plan = |text: &str| {
        let plan = file(text).plan().unwrap_or_else(|told| panic!("{told}"));
        let of = |prefix: &str| {
            let found = plan.endpoints.iter().find(|it| it.prefix.as_str() == prefix);
            found.expect("it is served").config.message_size
        };
        (of("/echo"), of("/ws"))
    };
    assert_eq!(plan(""), (1 << 20, 64 << 10));
    assert_eq!(plan("[endpoints]\nmessage_size = 1000"), (1000, 1000));
    assert_eq!(
        plan("[endpoints]\nmessage_size = 1000\n[endpoint.\"/ws\"]\nmessage_size = \"2 KiB\""),
        (1000, 2048)
    );
}

/// What holds is printed so that it holds again: apps choose settings of their own, which the
/// printed [endpoints] must not hide.
#[test]
fn what_is_printed_reads_as_the_same() {
    let text = "log_format = \"json\"\n[endpoints]\nheartbeat_delay = \"1500ms\"\n\
        [endpoint.\"/ws\"]\nsessions = 7\n[endpoint.\"/ws\".chat]\nhistory = 0\n\
        [endpoint.\"/app\"]\napp = \"upstream=ws://127.0.0.1:1/x\"\n\
        [tcp.\"127.0.0.1:9999\"]\napp = \"echo\"\nsessions = 3\n";
    let once = print(file(text).settings(), &IceConfig::default(), false);
    let twice = print(file(&once).settings(), &IceConfig::default(), false);
    assert_eq!(once, twice);
    for line in ["heartbeat_delay = \"1500ms\"", "sessions = 7", "history = 0", "binary = true"] {
        assert!(once.lines().any(|it| it == line), "{line}: {once}");
    }
    let plans = [file(text).plan(), file(&once).plan()];
    let [one, other] = plans.map(|plan| {
        let plan = plan.unwrap_or_else(|told| panic!("{told}"));
        let configs = plan.endpoints.iter().map(|it| format!("{:?}{:?}", it.config, it.chat));
        (configs.collect::<Vec<_>>(), format!("{:?}{:?}{:?}", plan.tcp, plan.program, plan.serve))
    });
    assert_eq!(one, other);
}

#[test]
fn demos_can_be_left_out() {
    let text = "default_endpoints = false\n[endpoint.\"/a\"]\napp = \"echo\"\n";
    let plan = file(text).plan().unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(plan.endpoints.len(), 1);
}

#[test]
fn a_problem_is_told_with_its_line_its_column_and_a_caret() {
    assert_eq!(
        told("# all\n[endpoints]\nheartbeat_delay = \"25\"\n"),
        "error: sockeye.toml:3:19: endpoints.heartbeat_delay: \"25\" has no unit: write a time with \
         its unit, ms, s, min, h or d, for example \"25s\", \"500ms\" or \"1h 30min\"\n\
         \x20 |\n\
         3 | heartbeat_delay = \"25\"\n\
         \x20 |                   ^^^^\n"
    );
    assert_eq!(
        told("[endpoints\n"),
        "error: sockeye.toml:1:11: this is no TOML: unclosed table, expected `]`\n\
         \x20 |\n\
         1 | [endpoints\n\
         \x20 |           ^\n"
    );
}

/// All problems, so that one run of the check is enough.
#[test]
fn each_problem_is_told_with_its_remedy() {
    let text = "listne = \"0.0.0.0:80\"\nheartbeat_delay = \"25s\"\nserver = 1\n\
        [endpoint.echo]\n[endpoint.\"/healthz\"]\n[endpoint.\"/a\"]\napp = \"chatt\"\nsesions = 1\n\
        message_size = \"64 apples\"\ntransports = [\"xhr\"]\nattach_wait = 50\nshort_poll = \"yes\"\n\
        [endpoint.\"/a\".chat]\nhistory = -1\n[tcp.localhost]\n[tcp.\"127.0.0.1:1\"]\n";
    let told = told(text);
    let expected = [
        "1:1: listne: there is no setting \"listne\": write listen. All here: listen, ",
        "2:1: heartbeat_delay: heartbeat_delay is no setting of this section: write it below [endpoints], or",
        "3:10: server: it is a section: write [server], and its settings below",
        "4:11: endpoint.\"echo\": prefix \"echo\" does not begin with a slash: write \"/echo\"",
        "5:11: endpoint.\"/healthz\": the server itself answers on that path: choose another prefix",
        "7:7: endpoint.\"/a\".app: there is no app \"chatt\": choose one of echo, broadcast, chat, ",
        "8:1: endpoint.\"/a\".sesions: there is no setting \"sesions\": write sessions. All here: app, ",
        "9:16: endpoint.\"/a\".message_size: \"64 apples\" is no size: write bytes, or a size with its unit",
        "10:14: endpoint.\"/a\".transports: there is no transport \"xhr\": choose of websocket, raw-websocket, xhr-polling",
        "11:15: endpoint.\"/a\".attach_wait: 50 has no unit: write a time with its unit",
        "12:14: endpoint.\"/a\".short_poll: write true or false, without quotation marks",
        "14:11: endpoint.\"/a\".chat.history: write a number from 0 to 18446744073709551615",
        "15:6: tcp.\"localhost\": write an IP address and a port, for example [tcp.\"127.0.0.1:9999\"]",
        "16:6: tcp.\"127.0.0.1:1\": it has no app: write app = \"chat\" or app = \"echo\"",
    ];
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), expected.len(), "{told}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(&format!("error: sockeye.toml:{expected}")), "{line}\n{expected}");
    }
}

#[test]
fn what_does_not_fit_together_is_told() {
    for (text, expected) in [
        ("[endpoint.\"/a\"]\nsessions = 1\n", "1:11: endpoint.\"/a\": it has no app: write app = "),
        (
            "[endpoint.\"/echo\".chat]\nhistory = 1\n",
            "1:11: endpoint.\"/echo\".chat: these are settings of the app chat, but the app here is echo",
        ),
        ("[ice]\nttl = \"8d\"\n", "2:7: ice.ttl: write a time from \"1s\" to \"7d\""),
        ("[ice]\ntoken_file = \"/nowhere\"\n", "2:14: ice.token_file: /nowhere: No such file"),
        ("[ice]\ntoken = \"a b\"\n", "2:9: ice.token: write ASCII letters"),
        (
            "[[ice.servers]]\nurls = [\"turn:a\"]\n",
            "2:8: ice.servers[0]: a TURN server needs username and credential, or a secret",
        ),
        (
            "[[ice.servers]]\nurls = [\"turn:a\"]\nusername = \"x\"\n",
            "3:12: ice.servers[0]: username needs password or password_file",
        ),
    ] {
        let told = told(text);
        assert!(told.starts_with(&format!("error: sockeye.toml:{expected}")), "{told}");
    }
}

/// A check in a pipeline writes to a log that many read.
#[test]
fn no_message_shows_a_secret() {
    for text in [
        "[ice]\ntoken = \"tell tale\"\n",
        "[[ice.servers]]\nurls = [\"stun:a\"]\nsecret = \"tell\" tale\n",
        "[ice]\nservers = [{ urls = [\"turn:a\"], secret = 7, password = \"tell\" }]\n",
        "[ice]\ntoken = tell\n",
        "[ice]\n\"token\" = tell\n",
    ] {
        let told = told(text);
        assert!(!told.contains("tell"), "{told}");
        assert!(told.contains('^'), "{told}");
    }
}

#[test]
fn secrets_come_from_files_and_are_not_printed() {
    let folder = std::env::temp_dir().join(format!("sockeye-settings-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("secret");
    fs::write(&path, "tell-tale\n").expect("a file");
    let text = format!(
        "[ice]\ntoken_file = {path:?}\n[[ice.servers]]\nurls = [\"turn:a\"]\nsecret_file = {path:?}\n\
         [[ice.servers]]\nurls = [\"turn:b\"]\nusername = \"me\"\npassword_file = {path:?}\n"
    );
    let file = file(&text);
    let plan = file.plan().unwrap_or_else(|told| panic!("{told}"));
    let read = fs::remove_dir_all(&folder);
    read.expect("it was made");
    assert_eq!(plan.ice.token.as_deref(), Some("tell-tale"));
    let shared = Credentials::Shared { secret: "tell-tale".to_owned() };
    assert_eq!(*plan.ice.servers[0].credentials(), shared);
    for explained in [false, true] {
        let printed = print(file.settings(), &plan.ice, explained);
        assert!(!printed.contains("tell-tale"), "{printed}");
        for line in
            ["# token: set, and not shown", "# secret: set, and not shown", "username = \"me\""]
        {
            assert!(printed.lines().any(|it| it == line), "{line}: {printed}");
        }
    }
}

fn args(arguments: &[&str]) -> Result<SettingArgs, clap::Error> {
    let command = SettingArgs::augment_args(Command::new("sockeye"));
    let matches = command.try_get_matches_from([&["sockeye"], arguments].concat())?;
    SettingArgs::from_arg_matches(&matches)
}

#[test]
fn flags_stand_over_the_file() {
    let text = "listen = \"127.0.0.1:1\"\n[server]\nhead_size = 1\n[endpoints]\nheartbeat_delay = \"1s\"\nsessions = 4\n";
    let args = args(&["--listen", "[::1]:2", "--head-size", "2KiB", "--heartbeat-delay", "2.5"]);
    let file = file(text).with(args.expect("good flags"), Vec::new(), Vec::new());
    let plan = file.plan().unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(plan.program.listen.to_string(), "[::1]:2");
    assert_eq!(plan.serve.head_size, 2048);
    let config = &plan.endpoints[1].config;
    assert_eq!((config.heartbeat_delay.as_millis(), config.sessions), (2500, 4));
}

/// Each flag of the tables takes the default that its help tells.
#[test]
fn every_flag_takes_its_default() {
    struct Flags(usize);
    impl Visitor for Flags {
        fn visit<C: Default + Debug>(&mut self, group: &Group<C>, place: &Place) {
            if !["", "server.", "endpoints."].contains(&place.path) {
                return;
            }
            for setting in group.settings {
                let Some(value) = (setting.show)(&C::default()) else { continue };
                let flag = format!("--{}={}", setting.key.replace('_', "-"), value.plain());
                args(&[&flag]).unwrap_or_else(|error| panic!("{flag}: {error}"));
                self.0 += 1;
            }
        }
    }
    let mut flags = Flags(0);
    visit_all(&mut flags);
    assert!(flags.0 > 40, "{}", flags.0);
}

#[test]
fn times_and_sizes_are_what_people_write() {
    let text = |text: &str| Value::Text(text.to_owned());
    for (time, millis) in [
        ("25s", 25_000),
        ("25 s", 25_000),
        ("2.5s", 2500),
        ("500ms", 500),
        ("10 min", 600_000),
        ("1h 30min", 5_400_000),
        ("2 hours", 7_200_000),
        ("1d", 86_400_000),
    ] {
        let read = Time::read(&text(time)).unwrap_or_else(|told| panic!("{time}: {told}"));
        assert_eq!(read.as_millis(), millis, "{time}");
        let shown = Time::show(&read).expect("a time is shown");
        assert_eq!(Time::read(&shown), Ok(read), "{shown}");
    }
    for (time, told) in [
        ("25", "\"25\" has no unit: write a time with its unit"),
        ("", "\"\" is no time: "),
        ("s", "\"s\" is no time: "),
        ("-1s", "\"-1s\" is no time: "),
        ("1.2.3s", "\"1.2.3s\" is no time: "),
        ("5 fortnights", "\"5 fortnights\" is no time: "),
        ("366d", "\"366d\" is too long: write \"365d\" at most"),
        ("99999999999999999999999d", "\"99999999999999999999999d\" is no time: "),
        ("0s", "it must be above 0: "),
    ] {
        let error = Time::read(&text(time)).expect_err(time);
        assert!(error.starts_with(told), "{error}");
    }
    assert!(TimeOrZero::read(&Value::Number(0)).is_ok_and(|time| time.is_zero()));
    for (size, bytes) in [
        ("64 KiB", 65_536),
        ("512MiB", 512 << 20),
        ("2g", 2 << 30),
        ("64 KB", 64_000),
        ("64K", 65_536),
        ("100", 100),
    ] {
        assert_eq!(Size::read(&text(size)), Ok(bytes), "{size}");
    }
    assert_eq!(Size::read(&Value::Number(7)), Ok(7));
    for (size, told) in [
        (text("64 apples"), "\"64 apples\" is no size: write bytes, or a size with its unit"),
        (text("1.5G"), "\"1.5G\" is no size: "),
        (text("99999999999G"), "\"99999999999G\" is no size: "),
        (text("-1"), "\"-1\" is no size: "),
        (text("MiB"), "\"MiB\" is no size: "),
        (text("0"), "it must be above 0: "),
        (Value::Number(0), "it must be above 0: "),
    ] {
        let error = Size::read(&size).expect_err("no size");
        assert!(error.starts_with(told), "{error}");
    }
}
