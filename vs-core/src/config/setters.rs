//! Setters of configurations.

/// Writes setters to be chained, one for each line `with_name(field: kind)` inside an `impl`. The
/// kind is `ms` or `us` for a time, `into T` for what becomes a `T`, or the type of the field.
macro_rules! setters {
    (@one $setter:ident $field:ident ms) => {
        #[doc = concat!("Sets [`Self::", stringify!($field), "`], rounded up to a whole ms.")]
        #[must_use]
        pub fn $setter(mut self, time: core::time::Duration) -> Self {
            self.$field = $crate::config::to_ms(time);
            self
        }
    };
    (@one $setter:ident $field:ident us) => {
        #[doc = concat!("Sets [`Self::", stringify!($field), "`], rounded up to a whole µs.")]
        #[must_use]
        pub fn $setter(mut self, time: core::time::Duration) -> Self {
            self.$field = $crate::config::to_us(time);
            self
        }
    };
    (@one $setter:ident $field:ident into $type:ty) => {
        #[doc = concat!("Sets [`Self::", stringify!($field), "`].")]
        #[must_use]
        pub fn $setter(mut self, $field: impl Into<$type>) -> Self {
            self.$field = $field.into();
            self
        }
    };
    (@one $setter:ident $field:ident $type:ty) => {
        #[doc = concat!("Sets [`Self::", stringify!($field), "`].")]
        #[must_use]
        pub fn $setter(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    };
    ($($setter:ident($field:ident: $($kind:tt)+);)+) => {
        $($crate::config::setters!(@one $setter $field $($kind)+);)+
    };
}

pub(crate) use setters;
