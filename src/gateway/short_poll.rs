//! Polls that wait no longer than their client asks for: `sockeye_wait=SECONDS` in the query.

use std::time::Duration;

/// How long a poll with this query may wait; `None` leaves it to the heartbeat.
pub(super) fn wait(query: Option<&str>) -> Result<Option<Duration>, WaitError> {
    let mut parameters = query.unwrap_or_default().split('&');
    let Some(seconds) = parameters.find_map(|parameter| parameter.strip_prefix("sockeye_wait="))
    else {
        return Ok(None);
    };
    // Longer than any client waits, and short enough to be added to any instant.
    const LONGEST: f64 = 1e9;
    let seconds: f64 = seconds.parse().map_err(|_| WaitError)?;
    // NaN is neither above nor below 0.
    if seconds >= 0.0 {
        Ok(Some(Duration::from_secs_f64(seconds.min(LONGEST))))
    } else {
        Err(WaitError)
    }
}

/// The query's value is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"sockeye_wait\" must be a number of seconds, 0 or more.\n")]
pub(super) struct WaitError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_from_the_query() {
        for (query, expected) in [
            ("sockeye_wait=0", 0.0),
            ("sockeye_wait=0.25", 0.25),
            ("t=1&sockeye_wait=25&x", 25.0),
            ("sockeye_wait=inf", 1e9),
        ] {
            assert_eq!(wait(Some(query)), Ok(Some(Duration::from_secs_f64(expected))), "{query}");
        }
        for query in [None, Some(""), Some("t=1"), Some("xsockeye_wait=1"), Some("sockeye_wait")] {
            assert_eq!(wait(query), Ok(None), "{query:?}");
        }
        for query in [
            "sockeye_wait=",
            "sockeye_wait=-1",
            "sockeye_wait=NaN",
            "sockeye_wait=1s",
            "sockeye_wait=1,5",
        ] {
            assert_eq!(wait(Some(query)), Err(WaitError), "{query}");
        }
    }
}
