//! Room numbers.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The number of a room: 0 to 9007199254740991, the range that a JSON number holds in every
/// language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RoomNumber(u64);

impl RoomNumber {
    /// The largest.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// This number.
    ///
    /// # Errors
    ///
    /// [`RoomNumberError`] when it is larger than [`MAX`](Self::MAX).
    pub fn new(number: u64) -> Result<Self, RoomNumberError> {
        if number <= Self::MAX.0 { Ok(Self(number)) } else { Err(RoomNumberError) }
    }
}

impl From<u32> for RoomNumber {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

/// Takes digits, leading zeros as well, and nothing else.
impl FromStr for RoomNumber {
    type Err = RoomNumberError;

    fn from_str(text: &str) -> Result<Self, RoomNumberError> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RoomNumberError);
        }
        text.parse().map_err(|_| RoomNumberError).and_then(Self::new)
    }
}

/// Takes a number, or a string of digits: pages have it from an input field.
impl<'de> Deserialize<'de> for RoomNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = RoomNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&RoomNumberError, f)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<RoomNumber, E> {
                RoomNumber::new(number).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, digits: &str) -> Result<RoomNumber, E> {
                digits.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Number)
    }
}

impl fmt::Display for RoomNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text or number is no room number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room number is an integer from 0 to {}", RoomNumber::MAX)]
pub struct RoomNumberError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_up_to_what_json_carries() {
        for (text, number) in
            [("0", 0), ("99", 99), ("007", 7), ("9007199254740991", 9_007_199_254_740_991)]
        {
            assert_eq!(text.parse(), RoomNumber::new(number), "{text}");
        }
        for text in [
            "",
            " 1",
            "-1",
            "+1",
            "1.0",
            "1e3",
            "9007199254740992",
            "99999999999999999999",
            "５",
            "one",
        ] {
            assert_eq!(text.parse::<RoomNumber>(), Err(RoomNumberError), "{text}");
        }
    }
}
