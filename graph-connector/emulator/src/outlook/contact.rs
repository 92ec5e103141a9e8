//! What a contact may be made of, and how the service completes it.

use serde_json::{Map, Value, json};

use crate::http::reply::GraphError;
use crate::outlook::store::Object;

/// JSON kinds of properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Texts,
    Address,
    Email,
    Emails,
    Date,
}

/// Properties of a contact in the order in which they are answered.
const PROPERTIES: [(&str, Kind); 38] = [
    ("categories", Kind::Texts),
    ("birthday", Kind::Date),
    ("fileAs", Kind::Text),
    ("displayName", Kind::Text),
    ("givenName", Kind::Text),
    ("initials", Kind::Text),
    ("middleName", Kind::Text),
    ("nickName", Kind::Text),
    ("surname", Kind::Text),
    ("title", Kind::Text),
    ("yomiGivenName", Kind::Text),
    ("yomiSurname", Kind::Text),
    ("yomiCompanyName", Kind::Text),
    ("generation", Kind::Text),
    ("imAddresses", Kind::Texts),
    ("jobTitle", Kind::Text),
    ("companyName", Kind::Text),
    ("department", Kind::Text),
    ("officeLocation", Kind::Text),
    ("profession", Kind::Text),
    ("businessHomePage", Kind::Text),
    ("assistantName", Kind::Text),
    ("manager", Kind::Text),
    ("homePhones", Kind::Texts),
    ("mobilePhone", Kind::Text),
    ("businessPhones", Kind::Texts),
    ("spouseName", Kind::Text),
    ("personalNotes", Kind::Text),
    ("children", Kind::Texts),
    ("emailAddresses", Kind::Emails),
    ("primaryEmailAddress", Kind::Email),
    ("secondaryEmailAddress", Kind::Email),
    ("tertiaryEmailAddress", Kind::Email),
    ("homeAddress", Kind::Address),
    ("businessAddress", Kind::Address),
    ("otherAddress", Kind::Address),
    ("parentFolderId", Kind::Text),
    ("id", Kind::Text),
];

/// Sent by clients and decided by the server.
const IGNORED: [&str; 5] = [
    "id",
    "parentfolderid",
    "changekey",
    "createddatetime",
    "lastmodifieddatetime",
];
const NAMED_EMAILS: [&str; 3] = [
    "primaryEmailAddress",
    "secondaryEmailAddress",
    "tertiaryEmailAddress",
];
const EXTENDED: [&str; 2] = ["singlevalueextendedproperties", "multivalueextendedproperties"];
const ADDRESS: [&str; 5] = ["street", "city", "state", "countryOrRegion", "postalCode"];

fn bad_kind(name: &str) -> GraphError {
    GraphError::new(
        400,
        "RequestBodyRead",
        format!("The value of property '{name}' has a type that does not fit microsoft.graph.contact."),
    )
}

/// Reads the body of a POST or PATCH: names and kinds are checked, what the server decides is left out.
pub(crate) fn read(body: &Map<String, Value>) -> Result<Object, GraphError> {
    let mut fields = Object::new();
    for (name, value) in body {
        let lower = name.to_lowercase();
        if lower.contains('@') || IGNORED.contains(&lower.as_str()) || EXTENDED.contains(&lower.as_str()) {
            continue;
        }
        let (known, kind) = PROPERTIES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                GraphError::new(
                    400,
                    "RequestBodyRead",
                    format!("The property '{name}' does not exist on type 'microsoft.graph.contact'. Make sure to only use property names that are defined by the type."),
                )
            })?;
        fields.insert((*known).to_owned(), checked(name, *kind, value)?);
    }
    let named = NAMED_EMAILS.iter().any(|name| fields.contains_key(*name));
    if named && fields.contains_key("emailAddresses") {
        return Err(GraphError::new(
            400,
            "ErrorInvalidArgument",
            "emailAddresses cannot be set together with primaryEmailAddress, secondaryEmailAddress or tertiaryEmailAddress.",
        ));
    }
    if named {
        let list: Vec<Value> = NAMED_EMAILS
            .iter()
            .filter_map(|name| fields.remove(*name))
            .filter(|value| !value.is_null())
            .collect();
        fields.insert("emailAddresses".to_owned(), Value::Array(list));
    }
    Ok(fields)
}

fn checked(name: &str, kind: Kind, value: &Value) -> Result<Value, GraphError> {
    let good = |fits: bool| {
        if fits {
            Ok(value.clone())
        } else {
            Err(bad_kind(name))
        }
    };
    let is_text = |value: &Value| value.is_string() || value.is_null();
    match kind {
        Kind::Text => good(is_text(value)),
        Kind::Texts => good(
            value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string)),
        ),
        Kind::Address => good(value.as_object().is_some_and(|map| {
            map.iter()
                .all(|(key, value)| key.contains('@') || ADDRESS.contains(&key.as_str()) && is_text(value))
        })),
        Kind::Email => good(value.is_null() || is_email(value)),
        Kind::Emails => {
            let list = value.as_array().filter(|list| list.iter().all(is_email));
            if list.is_some_and(|list| list.len() > 3) {
                return Err(GraphError::new(
                    400,
                    "ErrorInvalidArgument",
                    "A contact has at most three e-mail addresses.",
                ));
            }
            good(list.is_some())
        }
        Kind::Date => match value.as_str() {
            None => good(value.is_null()),
            Some(text) => {
                let date = text.get(..10).filter(|date| {
                    date.bytes().enumerate().all(|(n, b)| {
                        if matches!(n, 4 | 7) {
                            b == b'-'
                        } else {
                            b.is_ascii_digit()
                        }
                    })
                });
                date.map(|date| json!(format!("{date}T00:00:00Z")))
                    .ok_or_else(|| bad_kind(name))
            }
        },
    }
}

fn is_email(value: &Value) -> bool {
    value.as_object().is_some_and(|map| {
        map.iter().all(|(key, value)| {
            key.contains('@')
                || matches!(key.as_str(), "name" | "address") && (value.is_string() || value.is_null())
        })
    })
}

/// What the service fills in when a contact is made.
pub(crate) fn complete(fields: &mut Object) {
    let text = |fields: &Object, name: &str| {
        fields
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let (given, surname) = (text(fields, "givenName"), text(fields, "surname"));
    let join = |a: Option<String>, b: Option<String>, between: &str| match (a, b) {
        (Some(a), Some(b)) => Some(format!("{a}{between}{b}")),
        (a, b) => a.or(b),
    };
    let company = text(fields, "companyName");
    if text(fields, "displayName").is_none()
        && let Some(name) = join(given.clone(), surname.clone(), " ").or_else(|| company.clone())
    {
        fields.insert("displayName".into(), json!(name));
    }
    if text(fields, "fileAs").is_none()
        && let Some(name) = join(surname, given, ", ").or(company)
    {
        fields.insert("fileAs".into(), json!(name));
    }
}

/// Every property of a contact, those that were not set empty.
pub(crate) fn whole(fields: &Object, named_emails: bool) -> Object {
    let mut out = Object::new();
    for (name, kind) in PROPERTIES {
        if matches!(name, "id" | "parentFolderId") {
            continue;
        }
        if kind == Kind::Email {
            if named_emails {
                let at = NAMED_EMAILS.iter().position(|known| *known == name).unwrap_or(0);
                let email = fields.get("emailAddresses").and_then(|list| list.get(at));
                out.insert(name.to_owned(), email.cloned().unwrap_or(Value::Null));
            }
            continue;
        }
        let empty = || match kind {
            Kind::Texts | Kind::Emails => json!([]),
            Kind::Address => json!({}),
            _ => Value::Null,
        };
        out.insert(name.to_owned(), fields.get(name).cloned().unwrap_or_else(empty));
    }
    for (name, value) in fields {
        // What an edit put there and no documentation knows.
        if !out.contains_key(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    out
}
