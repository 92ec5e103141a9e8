//! The two ways in which the API is written: classes and records.

/// A record: what it is made of in core, and its fields. Each field is converted by [`crate::types::To`].
macro_rules! record {
    ($(#[$meta:meta])* $name:ident from $source:ty { $( $(#[$field_meta:meta])* $field:ident: $ty:ty ),* $(,)? }) => {
        record! { $(#[$meta])* $name { $( $(#[$field_meta])* $field: $ty, )* } }
        impl $crate::types::To<$name> for $source {
            fn to(self) -> $name {
                $name { $( $field: $crate::types::To::to(self.$field), )* }
            }
        }
    };
    ($(#[$meta:meta])* $name:ident { $( $(#[$field_meta:meta])* $field:ident: $ty:ty ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
        pub struct $name { $( $(#[$field_meta])* pub $field: $ty, )* }
        data!($name);
    };
}

/// Options of a call: a record whose every field may be left out.
macro_rules! options {
    ($(#[$meta:meta])* $name:ident { $( $(#[$field_meta:meta])* $field:ident: $ty:ty ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        #[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
        pub struct $name { $( $(#[$field_meta])* #[cfg_attr(feature = "uniffi", uniffi(default))] pub $field: $ty, )* }
        data!($name);
    };
}

/// One word out of a closed set, and what it is in core.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident as $core:ty { $( $(#[$word_meta:meta])* $word:ident ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
        pub enum $name { $( $(#[$word_meta])* $word, )* }
        impl $crate::types::To<$core> for $name {
            fn to(self) -> $core {
                type Core = $core;
                match self { $( Self::$word => Core::$word, )* }
            }
        }
        data!($name);
    };
}

/// Makes a type usable as argument and answer.
macro_rules! data {
    ($name:ty) => {
        impl $crate::call::Data for $name {}
    };
}

/// A class: its constructors, then its methods. All are asynchronous; all fail with [`crate::NakivoError`] only.
macro_rules! class {
    (
        $(#[doc = $class_doc:literal])*
        $class:ident
        constructors { $( $(#[doc = $new_doc:literal])* fn $new:ident($($new_arg:ident: $new_ty:ty),* $(,)?) $new_body:block )* }
        methods { $( $(#[doc = $doc:literal])* fn $method:ident(&$this:ident $(, $arg:ident: $ty:ty)* $(,)?) $(-> $answer:ty)? $body:block )* }
    ) => {
        class!(@constructors $class { $( $(#[doc = $new_doc])* fn $new($($new_arg: $new_ty),*) $new_body )* });

        #[cfg_attr(feature = "uniffi", uniffi::export(async_runtime = "tokio"))]
        impl $class {
            $(
                $(#[doc = $doc])*
                #[allow(clippy::unused_async, clippy::missing_errors_doc, reason = "every method looks alike to callers")]
                pub async fn $method(&$this $(, $arg: $ty)*) -> Result<class!(@or_nothing $($answer)?), $crate::NakivoError> $body
            )*
        }

        impl std::fmt::Debug for $class {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($class)).finish_non_exhaustive()
            }
        }

        impl From<std::sync::Arc<$class>> for $crate::call::Answer {
            fn from(value: std::sync::Arc<$class>) -> Self {
                $crate::call::Answer::Object(value)
            }
        }

        impl From<Option<std::sync::Arc<$class>>> for $crate::call::Answer {
            fn from(value: Option<std::sync::Arc<$class>>) -> Self {
                value.map_or($crate::call::Answer::Nothing, $crate::call::Answer::from)
            }
        }

        impl $crate::call::Argument for std::sync::Arc<$class> {
            fn take(arguments: &mut $crate::call::Arguments, name: &'static str) -> Result<Self, $crate::NakivoError> {
                arguments.object(name)
            }
        }

        impl $crate::call::Class for $class {
            fn class(&self) -> &'static str {
                stringify!($class)
            }

            fn any(self: std::sync::Arc<Self>) -> std::sync::Arc<dyn std::any::Any + Send + Sync> {
                self
            }

            #[allow(unused_mut, unused_variables, reason = "of methods without arguments")]
            fn call(self: std::sync::Arc<Self>, method: &str, mut arguments: $crate::call::Arguments) -> $crate::call::Answering {
                match method {
                    $(stringify!($method) => Box::pin(async move {
                        $(let $arg: $ty = $crate::call::Argument::take(&mut arguments, stringify!($arg))?;)*
                        arguments.end()?;
                        self.$method($($arg),*).await.map($crate::call::Answer::from)
                    }),)*
                    other => $crate::call::unknown(stringify!($class), other),
                }
            }
        }

        impl $crate::call::Argument for Option<std::sync::Arc<$class>> {
            fn take(arguments: &mut $crate::call::Arguments, name: &'static str) -> Result<Self, $crate::NakivoError> {
                arguments.has_object(name).then(|| arguments.object(name)).transpose()
            }
        }

        impl $crate::api::Described for $class {
            fn description() -> $crate::api::ClassDescription {
                $crate::api::ClassDescription {
                    name: stringify!($class),
                    doc: $crate::api::doc(&[$($class_doc),*]),
                    constructors: vec![$($crate::api::MethodDescription {
                        name: stringify!($new),
                        doc: $crate::api::doc(&[$($new_doc),*]),
                        arguments: vec![$($crate::api::argument(stringify!($new_arg), stringify!($new_ty))),*],
                        answer: stringify!($class).to_owned(),
                    }),*],
                    methods: vec![$($crate::api::MethodDescription {
                        name: stringify!($method),
                        doc: $crate::api::doc(&[$($doc),*]),
                        arguments: vec![$($crate::api::argument(stringify!($arg), stringify!($ty))),*],
                        answer: $crate::api::type_name(stringify!($($answer)?)),
                    }),*],
                }
            }

            #[allow(unused_mut, unused_variables, reason = "of classes without constructors")]
            fn construct(name: &str, mut arguments: $crate::call::Arguments) -> $crate::call::Answering {
                match name {
                    $(stringify!($new) => Box::pin(async move {
                        $(let $new_arg: $new_ty = $crate::call::Argument::take(&mut arguments, stringify!($new_arg))?;)*
                        arguments.end()?;
                        $class::$new($($new_arg),*).await.map($crate::call::Answer::from)
                    }),)*
                    other => $crate::call::unknown(stringify!($class), other),
                }
            }
        }
    };
    (@constructors $class:ident {}) => {};
    (@constructors $class:ident { $( $(#[doc = $new_doc:literal])* fn $new:ident($($new_arg:ident: $new_ty:ty),*) $new_body:block )* }) => {
        #[cfg_attr(feature = "uniffi", uniffi::export(async_runtime = "tokio"))]
        impl $class {
            $(
                $(#[doc = $new_doc])*
                #[cfg_attr(feature = "uniffi", uniffi::constructor)]
                #[allow(clippy::unused_async, clippy::missing_errors_doc, reason = "every constructor looks alike to callers")]
                pub async fn $new($($new_arg: $new_ty),*) -> Result<std::sync::Arc<Self>, $crate::NakivoError> $new_body
            )*
        }
    };
    (@or_nothing) => { () };
    (@or_nothing $answer:ty) => { $answer };
}
