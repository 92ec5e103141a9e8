//! Calls by name, with arguments as JSON: what the modules for Python and Node make.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api;
use crate::error::NakivoError;

/// An answer to come.
pub type Answering = BoxFuture<'static, Result<Answer, NakivoError>>;

/// What a call answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Nothing, or that there is none.
    Nothing,
    /// A record, or several: JSON.
    Json(String),
    /// Content.
    Bytes(Bytes),
    /// Something to hold and to call.
    Object(Arc<dyn Class>),
}

impl Answer {
    /// A record as answer.
    pub fn json<T: Serialize>(value: &T) -> Self {
        // Records have no maps but of strings, and no floats that are not numbers: nothing of them fails.
        serde_json::to_string(value).map_or(Self::Nothing, Self::Json)
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}

impl From<Option<Vec<u8>>> for Answer {
    fn from(value: Option<Vec<u8>>) -> Self {
        value.map_or(Self::Nothing, |bytes| Self::Bytes(bytes.into()))
    }
}

/// Something that a caller holds.
pub trait Class: Any + fmt::Debug + Send + Sync {
    /// The name of its class.
    fn class(&self) -> &'static str;

    /// Itself, to be told from others.
    fn any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;

    /// Calls a method. Dropping the answer to come gives the call up; nothing is left half done by that.
    fn call(self: Arc<Self>, method: &str, arguments: Arguments) -> Answering;
}

/// Makes an object of a class by one of its constructors.
#[must_use]
pub fn new(class: &str, constructor: &str, arguments: Arguments) -> Answering {
    match api::classes().iter().find(|known| known.name == class) {
        Some(known) => (known.construct)(constructor, arguments),
        None => unknown(class, constructor),
    }
}

/// The answer to a call that there is not.
#[must_use]
pub fn unknown(class: &str, method: &str) -> Answering {
    let error = NakivoError::invalid("method", &format!("{class}.{method}"), "one that is described");
    Box::pin(async move { Err(error) })
}

/// Data that goes over as JSON.
pub trait Data: Serialize + DeserializeOwned {}

/// Arguments by name: data as JSON, objects, and content.
#[derive(Debug, Default)]
pub struct Arguments {
    data: serde_json::Map<String, Value>,
    objects: BTreeMap<String, Arc<dyn Class>>,
    bytes: BTreeMap<String, Bytes>,
}

impl Arguments {
    /// Parses `{"name": value, ...}`.
    ///
    /// # Errors
    /// `invalid_input` for anything but an object of JSON.
    pub fn parse(json: &str) -> Result<Self, NakivoError> {
        let data = serde_json::from_str(json)
            .map_err(|error| NakivoError::invalid("arguments", &error.to_string(), "an object of JSON"))?;
        Ok(Self {
            data,
            ..Self::default()
        })
    }

    /// Adds an object.
    #[must_use]
    pub fn with_object(mut self, name: &str, object: Arc<dyn Class>) -> Self {
        self.objects.insert(name.to_owned(), object);
        self
    }

    /// Adds content.
    #[must_use]
    pub fn with_bytes(mut self, name: &str, bytes: impl Into<Bytes>) -> Self {
        self.bytes.insert(name.to_owned(), bytes.into());
        self
    }

    /// Takes an object of the class that is wanted.
    ///
    /// # Errors
    /// `invalid_input` if it is missing or of another class.
    pub fn object<T: Class>(&mut self, name: &str) -> Result<Arc<T>, NakivoError> {
        let wanted = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
        let given = self.objects.remove(name);
        let found = given.as_ref().map_or("nothing", |object| object.class());
        let found = NakivoError::invalid(name, found, wanted);
        given.and_then(|object| object.any().downcast().ok()).ok_or(found)
    }

    /// Whether an object of this name is given.
    #[must_use]
    pub fn has_object(&self, name: &str) -> bool {
        self.objects.contains_key(name)
    }

    /// Takes data. What is missing is like `null`.
    ///
    /// # Errors
    /// `invalid_input` that names the field, what was found and what is expected.
    pub fn data<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, NakivoError> {
        let value = self.data.remove(name).unwrap_or_default();
        serde_path_to_error::deserialize(value).map_err(|error| {
            // Of options the field alone: callers know it by that name.
            let field = Some(error.path().to_string()).filter(|path| path != ".");
            let field = field.unwrap_or_else(|| name.to_owned());
            let told = error.into_inner().to_string();
            let secret = SECRETS.iter().any(|word| field.contains(word));
            NakivoError::unfit(&field, &if secret { without_value(&told) } else { told })
        })
    }

    /// Whether nothing is left over.
    ///
    /// # Errors
    /// `invalid_input` that names what is.
    pub fn end(&self) -> Result<(), NakivoError> {
        match self
            .data
            .keys()
            .chain(self.objects.keys())
            .chain(self.bytes.keys())
            .next()
        {
            Some(name) => Err(NakivoError::invalid("argument", name, "those that are described")),
            None => Ok(()),
        }
    }
}

/// Fields whose value is not shown have one of these in their name.
const SECRETS: [&str; 4] = ["passphrase", "secret", "key", "token"];

/// What a decoder says, without the value that it found.
fn without_value(told: &str) -> String {
    let found = told
        .strip_prefix("invalid type: ")
        .or_else(|| told.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "));
    match found {
        Some((found, expected)) => {
            let kind = found.split([' ', '`', '"']).next().unwrap_or_default();
            format!("{kind} is not allowed; allowed: {expected}")
        }
        None => told.to_owned(),
    }
}

/// What can be an argument.
pub trait Argument: Sized {
    /// Takes it.
    ///
    /// # Errors
    /// `invalid_input`.
    fn take(arguments: &mut Arguments, name: &'static str) -> Result<Self, NakivoError>;
}

impl<T: Data> Argument for T {
    fn take(arguments: &mut Arguments, name: &'static str) -> Result<Self, NakivoError> {
        arguments.data(name)
    }
}

impl<T: Data> From<T> for Answer {
    fn from(value: T) -> Self {
        Self::json(&value)
    }
}

impl<T: Data> Data for Option<T> {}
impl<T: Data> Data for Vec<T> {}
data!(String);
data!(u64);
data!(u32);
data!(u16);
data!(bool);

impl Argument for Vec<u8> {
    fn take(arguments: &mut Arguments, name: &'static str) -> Result<Self, NakivoError> {
        let missing = || NakivoError::invalid(name, "nothing", "bytes");
        arguments.bytes.remove(name).map(Vec::from).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::Arguments;
    use crate::types::OpenOptions;

    #[test]
    fn a_value_of_the_wrong_type_is_told_by_its_field_and_not_shown_where_it_may_be_a_secret() {
        for (given, told) in [
            (
                r#"{"options": {"passphrase": 123456}}"#,
                "passphrase: integer is not allowed; allowed: a string",
            ),
            (
                r#"{"options": {"passphrase": true}}"#,
                "passphrase: boolean is not allowed; allowed: a string",
            ),
            (
                r#"{"options": {"key": ["hunter2"]}}"#,
                "key: sequence is not allowed; allowed: a string",
            ),
            (
                r#"{"options": {"cache_bytes": -1}}"#,
                "cache_bytes: invalid value: integer `-1`, expected u64",
            ),
        ] {
            let mut arguments = Arguments::parse(given).unwrap();
            let error = arguments.data::<OpenOptions>("options").unwrap_err();
            assert_eq!(error.failure().reason, told);
            assert_eq!(error.failure().code, "invalid_input");
        }
    }
}
