//! Assembles the site that the binary embeds: everything under `static/` except npm's files, plus
//! sockjs-client itself when `npm ci` has installed it there.
//!
//! The pages name no version: each has the comment `<!-- sockjs-client -->` where the client's
//! script tag belongs. Here it becomes a tag for the embedded copy or, where npm was never run (a
//! published crate, a quick look), for the very same version on a CDN, pinned by its hash.
//! `SOCKEYE_CLIENT_URL` gives the choice to the iframe page. Likewise the comment `<!-- transports
//! -->` becomes the options of the list of transports.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    site::build()
}

mod site {
    use std::env;
    use std::error::Error;
    use std::fs;
    use std::io;
    use std::path::{Path, PathBuf};

    const CLIENT: &str = "<!-- sockjs-client -->";
    const TRANSPORTS: &str = "<!-- transports -->";
    /// As sockjs-client names them, in the order in which it tries them.
    const NAMES: [&str; 9] = [
        "websocket",
        "xhr-streaming",
        "eventsource",
        "iframe-eventsource",
        "htmlfile",
        "iframe-htmlfile",
        "xhr-polling",
        "iframe-xhr-polling",
        "jsonp-polling",
    ];
    const NOT_SERVED: [&str; 4] =
        ["node_modules", "package.json", "package-lock.json", "sockjs-client.json"];

    pub(super) fn build() -> Result<(), Box<dyn Error>> {
        // The whole folder, node_modules included: cargo takes a path that does not exist for a
        // changed one, so naming the client's file itself would rebuild the crate each time where
        // it is not installed.
        println!("cargo::rerun-if-changed=static");

        let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("static");
        let site = PathBuf::from(env::var("OUT_DIR")?).join("site");
        match fs::remove_dir_all(&site) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }

        let client = Client::choose(&source)?;
        assemble(&source, &site, &[(CLIENT, &client.tag), (TRANSPORTS, &transports())])?;
        if let Some(file) = &client.file {
            let embedded = site.join(client.url.trim_start_matches("/static/"));
            fs::create_dir_all(embedded.parent().ok_or("the embedded client needs a folder")?)?;
            fs::copy(file, embedded)?;
        }
        println!("cargo::rustc-env=SOCKEYE_CLIENT_URL={}", client.url);
        Ok(())
    }

    /// The sockjs-client that the pages load.
    struct Client {
        url: String,
        tag: String,
        /// The installed copy; `None` means the CDN's.
        file: Option<PathBuf>,
    }

    impl Client {
        fn choose(source: &Path) -> Result<Self, Box<dyn Error>> {
            let pin = Json::read(source.join("sockjs-client.json"))?;
            let version = pin.text("version")?;
            let file = source.join(pin.text("file")?);
            if !file.exists() {
                let (url, integrity) = (pin.text("cdn")?, pin.text("integrity")?);
                let tag = format!(
                    r#"<script src="{url}" integrity="{integrity}" crossorigin="anonymous"></script>"#
                );
                return Ok(Self { url: url.to_owned(), tag, file: None });
            }

            let installed = Json::read(source.join("node_modules/sockjs-client/package.json"))?;
            let installed = installed.text("version")?;
            if installed != version {
                let remedy = "run `npm ci` in static/, or bring static/sockjs-client.json and static/package.json together";
                return Err(format!(
                    "sockjs-client {installed} is installed, {version} is pinned: {remedy}"
                )
                .into());
            }
            let url = format!("/static/lib/sockjs-{version}.min.js");
            let tag = format!(r#"<script src="{url}"></script>"#);
            Ok(Self { url, tag, file: Some(file) })
        }
    }

    fn transports() -> String {
        NAMES.map(|name| format!("<option>{name}</option>")).concat()
    }

    /// Copies the site, and replaces each placeholder in its pages.
    fn assemble(
        from: &Path,
        to: &Path,
        placeholders: &[(&str, &str)],
    ) -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            if NOT_SERVED.iter().any(|hidden| name == *hidden)
                || name.to_string_lossy().starts_with('.')
            {
                continue;
            }
            let target = to.join(name);
            if path.is_dir() {
                assemble(&path, &target, placeholders)?;
            } else if path.extension().is_some_and(|extension| extension == "html") {
                let page = fs::read_to_string(&path)?;
                fs::write(
                    target,
                    placeholders.iter().fold(page, |page, (from, to)| page.replace(from, to)),
                )?;
            } else {
                fs::copy(&path, target)?;
            }
        }
        Ok(())
    }

    /// A JSON file with its name, for errors.
    struct Json {
        path: PathBuf,
        value: serde_json::Value,
    }

    impl Json {
        fn read(path: PathBuf) -> Result<Self, String> {
            let bytes = fs::read(&path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            match serde_json::from_slice(&bytes) {
                Ok(value) => Ok(Self { path, value }),
                Err(error) => Err(format!("{} is no JSON: {error}", path.display())),
            }
        }

        fn text(&self, member: &str) -> Result<&str, String> {
            let value = self.value[member].as_str();
            value.ok_or_else(|| {
                format!("{} needs a member \"{member}\" that is text", self.path.display())
            })
        }
    }
}
