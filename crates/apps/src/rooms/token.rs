//! The secret with which a client returns as the same participant.

use std::fmt;

/// A secret of 128 random bits, shown to its participant alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(u128);

impl Token {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    /// From its 32 hexadecimal digits, in lower case.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits =
            text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits { u128::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Shows nothing: secrets stay out of logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_shown_and_shown_to_no_log() {
        let token = Token::random();
        assert_eq!(Token::parse(&token.to_string()), Some(token));
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(Token(1).to_string().len(), 32);
        for wrong in [
            "",
            "1",
            &"g".repeat(32),
            &"A".repeat(32),
            &"1".repeat(33),
            &format!("+{}", "1".repeat(31)),
        ] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }
}
