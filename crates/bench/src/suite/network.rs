//! Client and server with a network in between.

use std::time::Duration;

use super::{CompareError, NETWORK_RATE, NETWORK_SESSIONS, SIZE, Suite};
use crate::driver::echo::{self, Echo, Pace};
use crate::driver::{Technique, Timing};
use crate::profiles::Profile;
use crate::relay::Relay;
use crate::results::{Checked, Entry, Finding, Network, OverNetwork, with_causes};

const TIME: Duration = Duration::from_secs(5);
/// As long as sockjs-client gives a transport to open, and more, over a slow network.
const PATIENCE: Duration = Duration::from_secs(5);

impl Suite<'_> {
    /// All techniques over one network, with all targets in turn; `None` when the comparison was
    /// stopped before.
    pub(super) async fn network(
        &mut self,
        profile: &Profile,
        techniques: &[Technique],
    ) -> Result<Option<Network>, CompareError> {
        if self.stopped {
            return Ok(None);
        }
        let mut entries = Vec::new();
        for &technique in techniques {
            for index in 0..self.subjects.len() {
                let (technique_name, target) =
                    (technique.to_string(), self.subjects[index].name.clone());
                let found = self.over(profile, technique, index).await?;
                entries.push(Entry { technique: technique_name, target, found });
            }
        }
        Ok(Some(Network { profile: profile.clone(), entries }))
    }

    async fn over(
        &mut self,
        profile: &Profile,
        technique: Technique,
        index: usize,
    ) -> Result<OverNetwork, CompareError> {
        let what = format!("{}: {technique}, {}", self.subjects[index].name, profile.name);
        self.begins(&what);
        let subject = &self.subjects[index];
        if let Some(reason) = subject.lacks(technique) {
            return Ok(nothing(reason.to_owned()));
        }
        let relay = Relay::start(profile, subject.echo.addr()).map_err(CompareError::Relay)?;
        let target = subject.echo.through(relay.addr());
        let measured = self.scale.time(TIME, 1);
        let timing = Timing {
            warm_up: (measured / 5).max(profile.delay() * 4),
            measured,
            patience: PATIENCE,
        };
        let (sessions, pace) = (NETWORK_SESSIONS, Pace::PerSecond(NETWORK_RATE));
        let plan = Echo { technique, sessions, size: SIZE, pace, stamped: false, timing };
        let run =
            async { echo::run(&target, None, &plan).await.map_err(|error| with_causes(&error)) };
        Ok(match self.step(run).await {
            Err(reason) => nothing(reason),
            Ok(seen) => {
                let mut correctness = Checked::default();
                let error = seen.first_error.as_ref().map(|error| error as &dyn std::error::Error);
                correctness.add(seen.correctness, seen.broken as u64, error);
                OverNetwork {
                    round_trip: Finding::Value((&seen.round_trips).into()),
                    opening: Finding::Value((&seen.openings).into()),
                    correctness,
                }
            }
        })
    }
}

fn nothing(reason: String) -> OverNetwork {
    OverNetwork {
        round_trip: Finding::none(reason.clone()),
        opening: Finding::none(reason),
        correctness: Checked::default(),
    }
}
