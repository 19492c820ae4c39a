//! Choices: the settings that a file, a variable or a flag gives a value.

use std::collections::BTreeMap;
use std::ops::Range;

use super::value::Value;

/// The settings of a group that have been given a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen(BTreeMap<&'static str, Choice>);

#[derive(Clone, Debug)]
struct Choice {
    value: Value,
    /// Its place in the file, if it comes from there.
    span: Option<Range<usize>>,
}

impl Chosen {
    pub(crate) fn put(&mut self, key: &'static str, value: Value) {
        self.0.insert(key, Choice { value, span: None });
    }

    pub(crate) fn put_at(&mut self, key: &'static str, value: Value, span: Range<usize>) {
        self.0.insert(key, Choice { value, span: Some(span) });
    }

    /// Takes the choices of `over`, where both have one.
    pub(crate) fn extend(&mut self, over: Self) {
        self.0.extend(over.0);
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).map(|choice| &choice.value)
    }

    pub(crate) fn span(&self, key: &str) -> Option<Range<usize>> {
        self.0.get(key)?.span.clone()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(key, choice)| (*key, &choice.value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
