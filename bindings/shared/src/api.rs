//! The description of the API, for whatever is generated from it or held against it.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::call::{Answering, Arguments};
use crate::{error, objects, types};

/// A class.
#[derive(Debug, Clone, Serialize)]
pub struct ClassDescription {
    /// Its name, in `PascalCase`.
    pub name: &'static str,
    /// What it is, in Markdown.
    pub doc: String,
    /// How one is made.
    pub constructors: Vec<MethodDescription>,
    /// What it can do.
    pub methods: Vec<MethodDescription>,
}

/// A method or a constructor.
#[derive(Debug, Clone, Serialize)]
pub struct MethodDescription {
    /// Its name, in `snake_case`.
    pub name: &'static str,
    /// What it does, in Markdown.
    pub doc: String,
    /// What it takes, in order. One named `options` is a record whose fields may all be left out.
    pub arguments: Vec<ArgumentDescription>,
    /// What it answers: a type as in Rust (`Vec<PointInfo>`, `Option<Bytes>`), `()` for nothing.
    pub answer: String,
}

/// An argument.
#[derive(Debug, Clone, Serialize)]
pub struct ArgumentDescription {
    /// Its name, in `snake_case`.
    pub name: &'static str,
    /// Its type, as in Rust.
    #[serde(rename = "type")]
    pub kind: String,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Api {
    /// Every class.
    pub classes: Vec<ClassDescription>,
    /// The classes that are long calls, and the record that each ends with.
    pub runs: Vec<(&'static str, &'static str)>,
    /// The classes that are listings, and the record that they list.
    pub streams: Vec<(&'static str, &'static str)>,
    /// Every record and every set of words: JSON Schema by name.
    pub records: Map<String, Value>,
    /// Every code that errors carry: what happened, and what to do.
    pub errors: Vec<error::CatalogueEntry>,
}

/// The whole description.
#[must_use]
pub fn describe() -> Api {
    Api {
        classes: classes().iter().map(|class| (class.describe)()).collect(),
        runs: objects::RUNS.to_vec(),
        streams: objects::STREAMS.to_vec(),
        records: types::schemas(),
        errors: error::catalogue(),
    }
}

/// What describes itself.
pub(crate) trait Described {
    fn description() -> ClassDescription;
    fn construct(name: &str, arguments: Arguments) -> Answering;
}

/// A class that can be made and described without an object of it.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) describe: fn() -> ClassDescription,
    pub(crate) construct: fn(&str, Arguments) -> Answering,
}

/// Names every class that there is.
macro_rules! classes {
    ($($class:ident),* $(,)?) => {
        /// Every class that there is.
        pub(crate) fn classes() -> &'static [Known] {
            &[$(Known {
                name: stringify!($class),
                describe: <objects::$class as Described>::description,
                construct: <objects::$class as Described>::construct,
            }),*]
        }
    };
}

classes!(
    Repository,
    Point,
    RecoveryPlan,
    Source,
    Director,
    Place,
    Emulator,
    EntryStream,
    ChangeStream,
    EventStream,
    ByteStream,
    BackupRun,
    VerifyRun,
    PlanRun,
    RecoverRun,
    ExportRun,
    ReclaimRun,
    HealRun,
    CopyRun,
    JobRun,
    ServeRun,
    DestroyRun,
    UnhideRun,
    RenewRun,
    LockRun,
);

/// The lines of a comment as one text.
pub(crate) fn doc(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n")
}

pub(crate) fn argument(name: &'static str, kind: &str) -> ArgumentDescription {
    ArgumentDescription {
        name,
        kind: type_name(kind),
    }
}

/// A type without blanks, modules and `Arc`: `Option<PointInfo>`.
pub(crate) fn type_name(kind: &str) -> String {
    let mut name: String = kind.chars().filter(|c| !c.is_whitespace()).collect();
    for module in ["types::", "super::"] {
        name = name.replace(module, "");
    }
    while let Some(start) = name.find("Arc<") {
        name.replace_range(start..start + 4, "");
        if let Some(end) = name.find('>') {
            name.remove(end);
        }
    }
    if name.is_empty() {
        "()".to_owned()
    } else {
        name.replace("Vec<u8>", "Bytes")
    }
}
