//! A figure of several turns, and whether two of them can be told apart.

/// The median of the turns, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the turns had no more; of an even number, the mean of the middle two.
    pub median: f64,
    /// The least of all turns.
    pub lowest: f64,
    /// The most.
    pub highest: f64,
}

/// How a figure stands beside another one, where less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Each of its turns had less than any of the other's.
    Ahead,
    /// Their turns overlap: a second measurement may have them the other way round.
    Level,
    /// Each of its turns had more.
    Behind,
}

impl Spread {
    /// Of these turns; `None` without any, or when one is no number.
    pub fn of(turns: &[f64]) -> Option<Self> {
        if turns.iter().any(|turn| !turn.is_finite()) {
            return None;
        }
        let mut turns = turns.to_vec();
        turns.sort_by(f64::total_cmp);
        let middle = turns.len() / 2;
        let upper = *turns.get(middle)?;
        let lower = if turns.len().is_multiple_of(2) { turns[middle - 1] } else { upper };
        let median = f64::midpoint(lower, upper);
        Some(Self { median, lowest: *turns.first()?, highest: *turns.last()? })
    }

    /// Its place beside `other`.
    pub fn beside(&self, other: &Self) -> Standing {
        if self.highest < other.lowest {
            Standing::Ahead
        } else if self.lowest > other.highest {
            Standing::Behind
        } else {
            Standing::Level
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(turns: &[f64]) -> Spread {
        Spread::of(turns).expect("numbers")
    }

    #[test]
    fn a_figure_is_the_median_between_its_extremes() {
        let spread = of(&[5.0, 1.0, 9.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { median: 3.0, lowest: 1.0, highest: 9.0 });
        assert_eq!(of(&[4.0]), Spread { median: 4.0, lowest: 4.0, highest: 4.0 });
        assert_eq!(of(&[4.0, 1.0]), Spread { median: 2.5, lowest: 1.0, highest: 4.0 });
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
    }

    /// A server was called ahead by the median although another run of both had it behind.
    #[test]
    fn turns_that_overlap_are_level_whatever_their_medians() {
        let ours = of(&[5.1, 5.2, 5.3]);
        for (turns, standing) in [
            ([4.7, 4.8, 5.0], Standing::Ahead),
            ([4.7, 4.8, 5.1], Standing::Level),
            ([5.2, 5.2, 5.2], Standing::Level),
            ([5.3, 6.0, 7.0], Standing::Level),
            ([1.0, 9.0, 9.0], Standing::Level),
            ([5.4, 6.0, 7.0], Standing::Behind),
        ] {
            assert_eq!(of(&turns).beside(&ours), standing, "{turns:?}");
        }
    }
}
