//! Latencies, and which of their percentiles may be told.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A distribution of times, from a nanosecond to an hour, to three digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

/// The longest time that is told apart from longer ones.
const LONGEST: u64 = 3_600_000_000_000;
/// So many samples must lie beyond a percentile: fewer say more about the run than about the
/// server.
const BEYOND: f64 = 10.0;

impl Default for Latencies {
    fn default() -> Self {
        Self(
            Histogram::new_with_bounds(1, LONGEST, 3)
                .expect("the bounds are in order and three digits are allowed"),
        )
    }
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }

    /// Adds all of `other`'s.
    pub fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that this share (0 to 1) of the samples did not exceed; `None` when fewer than ten
    /// samples lie beyond it.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        // A hair is allowed for: 1 - 0.999 is a little less than a thousandth.
        let beyond = self.count() as f64 * (1.0 - share) + 1e-6;
        (beyond >= BEYOND).then(|| Duration::from_nanos(self.0.value_at_quantile(share)))
    }

    /// The longest; `None` when there are none.
    pub fn max(&self) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_nanos(self.0.max()))
    }

    /// The distribution as (upper end of a step, samples in it), for a picture.
    pub fn steps(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        self.0.iter_recorded().map(|step| {
            (Duration::from_nanos(step.value_iterated_to()), step.count_since_last_iteration())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u64) -> Latencies {
        let mut latencies = Latencies::default();
        (1..=count).for_each(|at| latencies.record(at * 1_000));
        latencies
    }

    #[test]
    fn a_percentile_wants_ten_samples_beyond_it() {
        for (share, least) in [(0.5, 20), (0.9, 100), (0.99, 1_000), (0.999, 10_000)] {
            assert_eq!(of(least - 1).quantile(share), None, "{share}");
            assert!(of(least).quantile(share).is_some(), "{share}");
        }
    }

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let latencies = of(10_000);
        for (share, micros) in [(0.5, 5_000.0), (0.9, 9_000.0), (0.99, 9_900.0), (0.999, 9_990.0)] {
            let found = latencies.quantile(share).expect("enough samples").as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.001, "{share}: {found}");
        }
        assert_eq!(latencies.count(), 10_000);
        assert!(latencies.max() >= Some(Duration::from_millis(10)));
        assert_eq!(latencies.steps().map(|(_, count)| count).sum::<u64>(), 10_000);
    }

    #[test]
    fn nothing_is_said_about_nothing() {
        assert_eq!(Latencies::default().quantile(0.5), None);
        assert_eq!(Latencies::default().max(), None);
    }

    #[test]
    fn a_time_out_of_bounds_counts_as_the_longest() {
        let mut latencies = of(1);
        latencies.record(u64::MAX);
        assert_eq!(latencies.count(), 2);
        assert!(latencies.max() >= Some(Duration::from_secs(3_500)));
    }
}
