//! The records that go over, and how those of core become them.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod care;
mod director;
mod point;
mod recovery;
mod repository;
mod run;
mod source;

pub use care::*;
pub use director::*;
pub use point::*;
pub use recovery::*;
pub use repository::*;
pub use run::*;
pub use source::*;

/// A moment: RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub DateTime<Utc>);

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl crate::call::Data for Timestamp {}

impl Timestamp {
    /// The moment so many milliseconds after 1970.
    pub(crate) fn of_ms(ms: i64) -> Self {
        Self(DateTime::from_timestamp_millis(ms).unwrap_or_default())
    }
}

#[cfg(feature = "uniffi")]
mod foreign {
    use std::time::SystemTime;

    use super::Timestamp;

    uniffi::custom_type!(Timestamp, SystemTime, {
        lower: |moment| moment.0.into(),
        try_lift: |time| Ok(Timestamp(time.into())),
    });
}

/// The word that core writes for it in JSON.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}

/// Conversion of what core has into what goes over.
pub(crate) trait To<T> {
    fn to(self) -> T;
}

macro_rules! as_it_is {
    ($($ty:ty),*) => { $(impl To<$ty> for $ty { fn to(self) -> $ty { self } })* };
}
as_it_is!(u8, u16, u32, u64, i64, f64, bool, String);

macro_rules! as_text {
    ($($ty:ty),* $(,)?) => { $(impl To<String> for $ty { fn to(self) -> String { self.to_string() } })* };
}
as_text!(
    nakivo_core::format::RepositoryId,
    nakivo_core::format::ObjectId,
    nakivo_core::format::PointId,
    nakivo_core::format::RunId,
    nakivo_core::format::PackId,
    nakivo_core::format::SlotId,
    nakivo_core::director::AccountId,
    nakivo_core::director::JobId,
    nakivo_core::director::DirectorId,
    nakivo_core::registry::RepositoryName,
    nakivo_core::director::scheduler::chain::Outcome,
    nakivo_core::format::Compression,
    nakivo_core::format::ObjectKind,
    nakivo_core::format::manifest::Outcome,
);

impl To<String> for nakivo_core::backup::Outcome {
    fn to(self) -> String {
        match self {
            Self::Complete => "complete".to_owned(),
            Self::Partial => "partial".to_owned(),
        }
    }
}

impl To<u64> for usize {
    fn to(self) -> u64 {
        self as u64
    }
}

impl To<Timestamp> for DateTime<Utc> {
    fn to(self) -> Timestamp {
        Timestamp(self)
    }
}

impl To<f64> for Duration {
    fn to(self) -> f64 {
        self.as_secs_f64()
    }
}

impl<A: To<B>, B> To<Option<B>> for Option<A> {
    fn to(self) -> Option<B> {
        self.map(To::to)
    }
}

impl<A: To<B>, B> To<Vec<B>> for Vec<A> {
    fn to(self) -> Vec<B> {
        self.into_iter().map(To::to).collect()
    }
}

impl<A: To<B>, B> To<Vec<B>> for std::collections::BTreeSet<A> {
    fn to(self) -> Vec<B> {
        self.into_iter().map(To::to).collect()
    }
}

/// Names every record whose shape is described.
macro_rules! described {
    ($($record:ty),* $(,)?) => {
        /// JSON Schema of every record, by name.
        pub(crate) fn schemas() -> Map<String, Value> {
            let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
            $(generator.subschema_for::<$record>();)*
            generator.take_definitions(false)
        }
    };
}

described!(
    OpenOptions,
    CreateOptions,
    RepositoryInfo,
    ObjectInfo,
    PointInfo,
    Update,
    VerifyOptions,
    VerifyReport,
    Entry,
    Page,
    PageOptions,
    Selected,
    RecoverTo,
    ExportTo,
    PlanCounts,
    PlannedItem,
    RecoveryReport,
    ExportReport,
    BackupOptions,
    BackupReport,
    AccountOptions,
    Discovered,
    PermissionCheck,
    EmulatorOptions,
    EmulatorInfo,
    MessageTruth,
    Protection,
    PointFilter,
    DeletedPoints,
    Keep,
    Retention,
    ReclaimOptions,
    ReclaimReport,
    HealOptions,
    HealReport,
    CopyOptions,
    CopyReport,
    KeySlots,
    NewKey,
    RotateOptions,
    RotateReport,
    ItemChange,
    DirectorOptions,
    AccountInfo,
    AccountEdit,
    KnownRepository,
    RepositoryAccess,
    RepositoryEdit,
    JobOptions,
    JobInfo,
    RunSelection,
    RunRecord,
    HistoryEntry,
    DirectorEvent,
    Served,
    JournalStatus,
    JournalHead,
    Restored,
    Occurrence,
    PlaceOptions,
    DestroyReport,
    UnhideOptions,
    UnhideReport,
    RenewReport,
    LockReport,
    CopiedPoint,
);
