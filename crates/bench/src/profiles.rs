//! Networks to compare transports over, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The network between client and server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its effect, in words.
    #[serde(default)]
    pub about: String,
    /// Milliseconds each way.
    #[serde(default)]
    pub delay_ms: f64,
    /// Milliseconds that come on top at random, up to this.
    #[serde(default)]
    pub jitter_ms: f64,
    /// Kilobits a second to the client; none is no limit.
    pub down_kbit: Option<u64>,
    /// The same to the server.
    pub up_kbit: Option<u64>,
    /// Bytes of an answer that are held back until it is complete.
    pub buffer: Option<usize>,
    /// The treatment of WebSocket handshakes.
    #[serde(default)]
    pub upgrade: Upgrade,
    /// Seconds after which a connection is cut.
    pub cut_s: Option<f64>,
}

/// A proxy's treatment of WebSocket handshakes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Upgrade {
    /// Nothing.
    #[default]
    Pass,
    /// Answers them with 403.
    Refuse,
    /// Passes them on without the header, as proxies do that don't know WebSockets.
    Strip,
    /// Passes them, and then nothing more.
    Stall,
}

/// A file of profiles that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    /// It has another shape.
    #[error("the profiles cannot be read")]
    Shape(#[from] toml::de::Error),
    /// A number makes no sense.
    #[error("the profile {profile:?} has {field} = {value}, which must be {must}")]
    Value {
        /// Which profile.
        profile: String,
        /// Which of its fields.
        field: &'static str,
        /// The given value.
        value: f64,
        /// The allowed values.
        must: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Vec<Profile>,
}

/// Reads a file of profiles.
///
/// # Errors
///
/// When it has another shape than `src/compare/profiles.toml`, or a number in it makes no sense.
pub fn parse(text: &str) -> Result<Vec<Profile>, ProfilesError> {
    let File { profile: profiles } = toml::from_str(text)?;
    for profile in &profiles {
        profile.check()?;
    }
    Ok(profiles)
}

/// Those that come with the program.
pub fn embedded() -> Vec<Profile> {
    parse(include_str!("profiles.toml")).expect("a test reads the embedded profiles")
}

impl Profile {
    /// The time that bytes take each way, at least.
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay_ms / 1e3)
    }

    fn check(&self) -> Result<(), ProfilesError> {
        let fail = |field, value, must| {
            Err(ProfilesError::Value { profile: self.name.clone(), field, value, must })
        };
        for (field, value) in [("delay_ms", self.delay_ms), ("jitter_ms", self.jitter_ms)] {
            if !(0.0..=60_000.0).contains(&value) {
                return fail(field, value, "from 0 to 60000");
            }
        }
        for (field, value) in [("down_kbit", self.down_kbit), ("up_kbit", self.up_kbit)] {
            if let Some(value @ (0 | 1_000_000_001..)) = value {
                return fail(field, value as f64, "from 1 to 1000000000");
            }
        }
        if let Some(value) = self.buffer.filter(|value| !(1..=LARGEST_BUFFER).contains(value)) {
            return fail("buffer", value as f64, "from 1 to 16777216");
        }
        if let Some(value) = self.cut_s.filter(|value| !(0.001..=86_400.0).contains(value)) {
            return fail("cut_s", value, "from 0.001 to 86400");
        }
        Ok(())
    }
}

const LARGEST_BUFFER: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_ones_are_read() {
        let profiles = embedded();
        let names: Vec<_> = profiles.iter().map(|profile| &*profile.name).collect();
        assert_eq!(names[..5], ["LAN", "4G", "satellite", "buffering proxy", "no-WebSocket proxy"]);
        assert_eq!(profiles[1].delay(), Duration::from_millis(25));
        assert_eq!(profiles[4].upgrade, Upgrade::Strip);
        assert!(profiles.iter().all(|profile| !profile.about.is_empty()));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (field, must) in [
            ("delay_ms = -1", "from 0 to 60000"),
            ("jitter_ms = nan", "from 0 to 60000"),
            ("up_kbit = 0", "from 1 to 1000000000"),
            ("buffer = 0", "from 1 to 16777216"),
            ("cut_s = 0", "from 0.001 to 86400"),
        ] {
            let error =
                parse(&format!("[[profile]]\nname = \"x\"\n{field}")).expect_err(field).to_string();
            assert!(error.contains("\"x\"") && error.ends_with(must), "{error}");
        }
        for text in [
            "",
            "[[profile]]",
            "[[profile]]\nname = \"x\"\ndelay = 1",
            "[[profile]]\nname = \"x\"\nupgrade = \"no\"",
        ] {
            assert!(matches!(parse(text), Err(ProfilesError::Shape(_))), "{text}");
        }
    }
}
