//! JSON string quoting with SockJS's additional escapes.

/// Appends `text` as a JSON string.
pub(crate) fn quote_into(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&serde_json::to_vec(text).unwrap_or_default());
}
