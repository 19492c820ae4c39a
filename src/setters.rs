//! Setters of configurations: a new setting breaks no program that uses them.

/// Gives a configuration a setter for each of its fields, named as the field. A field without a
/// setter does not compile.
#[doc(hidden)]
#[macro_export]
macro_rules! __setters {
    ($config:ident { $($field:ident: $value:ty,)+ }) => {
        /// Settings, each named as its field.
        impl $config {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](field@Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $value) -> Self {
                    self.$field = $field.into();
                    self
                }
            )+
        }

        const _: fn($config) = |$config { $($field: _,)+ }| ();
    };
}
