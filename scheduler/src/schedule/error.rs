//! What is refused in a schedule.

/// Longest piece of a refused value that an error repeats, in characters.
const SHOWN_CHARS: usize = 60;

/// Why a schedule was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A field holds something that it cannot hold.
    #[error("{field} = {value}: expected {allowed}")]
    Refused {
        /// Path of the field in [`ScheduleForm`](super::ScheduleForm), such as `repeat.every_weeks`.
        field: &'static str,
        /// What it held, shortened.
        value: String,
        /// What it may hold.
        allowed: String,
    },
    /// A field that means nothing for this kind of schedule.
    #[error("{field} is set, but a schedule of kind {kind} has no {field}: leave it out")]
    NotUsed {
        /// The field.
        field: &'static str,
        /// The kind of schedule, as its form names it.
        kind: &'static str,
    },
}

impl ScheduleError {
    pub(crate) fn refused(
        field: &'static str,
        value: impl std::fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        let value = value.to_string();
        let shown = match value.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => format!("{}...", &value[..end]),
            None => value,
        };
        Self::Refused {
            field,
            value: shown,
            allowed: allowed.into(),
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "schedule_refused",
            Self::NotUsed { .. } => "schedule_field_not_used",
        }
    }

    /// The field at fault.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Refused { field, .. } | Self::NotUsed { field, .. } => field,
        }
    }
}
