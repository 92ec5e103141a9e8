//! The commands that care for recovery points and space.

use clap::{Args, Subcommand};
use nakivo_core::chrono::{DateTime, Months, TimeDelta, Utc};

use super::{PlaceArgs, PointArgs, RepositoryArgs};

#[derive(Debug, Args)]
pub(crate) struct RepoVerify {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Read only this share of the data, chosen at random
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) sample: Option<u8>,
    /// Only what this protected object's points need
    #[arg(long, value_name = "NAME")]
    pub(crate) object: Option<String>,
    /// Only what this point needs, by the first digits of its id
    #[arg(long, value_name = "ID")]
    pub(crate) point: Option<String>,
    /// Go on where the same verification was stopped before
    #[arg(long)]
    pub(crate) resume: bool,
    /// Stop after this time, such as 90m, 2h; --resume goes on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) max_duration: Option<std::time::Duration>,
    /// Write nothing into the repository: neither mark points as damaged nor take marks away
    #[arg(long)]
    pub(crate) no_marks: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RepoHeal {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Another repository that protects the same objects
    #[arg(long, value_name = "URL")]
    pub(crate) from: Option<String>,
    /// File with the passphrase of the other repository [default: the same as for this one]
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(crate) from_passphrase_file: Option<std::path::PathBuf>,
    /// File with a recovery key of the other repository
    #[arg(
        long,
        value_name = "FILE",
        requires = "from",
        conflicts_with = "from_passphrase_file"
    )]
    pub(crate) from_key_file: Option<std::path::PathBuf>,
    /// The folder that the object of --object was read from
    #[arg(long, value_name = "PATH", requires = "object")]
    pub(crate) folder: Option<std::path::PathBuf>,
    /// Name of the protected object of --folder
    #[arg(long, value_name = "NAME", requires = "folder")]
    pub(crate) object: Option<String>,
    /// TOML file that says which organisation mailboxes were read from and how to sign in
    #[arg(long, value_name = "FILE")]
    pub(crate) account: Option<std::path::PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) preview: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RepoReclaim {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Only say what could be freed
    #[arg(long)]
    pub(crate) preview: bool,
    /// How long unused data stays before it is deleted, such as 90m, 24h, 7d; shorter than a backup takes: such a backup may
    /// have to start again
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(crate) grace: std::time::Duration,
    /// Write packs anew of which less than this share is needed; 0: only delete what is wholly unused
    #[arg(long, value_name = "PERCENT", default_value_t = 70, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) rewrite_below: u8,
}

#[derive(Debug, Args)]
pub(crate) struct PointProtect {
    #[command(flatten)]
    pub(crate) point: PointArgs,
    #[command(flatten)]
    pub(crate) how: ProtectHow,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ProtectHow {
    /// Keep it until this day or moment (UTC), such as 2027-12-31 or 2027-12-31T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<i64>,
    /// Keep it until somebody says otherwise
    #[arg(long)]
    pub(crate) forever: bool,
    /// Let retention decide
    #[arg(long)]
    pub(crate) job_retention: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PointDescribe {
    #[command(flatten)]
    pub(crate) point: PointArgs,
    /// What to note; empty to take the note away
    #[arg(value_name = "TEXT")]
    pub(crate) text: String,
}

#[derive(Debug, Args)]
pub(crate) struct PointDelete {
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    #[command(flatten)]
    pub(crate) which: WhichPoints,
    /// Points of this protected object; may be repeated
    #[arg(long = "object", value_name = "NAME")]
    pub(crate) objects: Vec<String>,
    /// Points of every protected object but this; may be repeated
    #[arg(long = "except-object", value_name = "NAME", conflicts_with_all = ["objects", "points"])]
    pub(crate) except_objects: Vec<String>,
    /// Only list what would be deleted
    #[arg(long)]
    pub(crate) preview: bool,
}

/// At least one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct WhichPoints {
    /// This point, by the first digits of its id; may be repeated
    #[arg(long = "point", value_name = "ID", conflicts_with_all = ["older_than", "all_but", "all"])]
    pub(crate) points: Vec<String>,
    /// Points older than this, such as 12h, 30d, 4w, 6m (months), 2y
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Age>,
    /// All points but the newest of each object and its newest complete one
    #[arg(long, value_name = "WHICH", value_parser = ["latest"], conflicts_with = "all")]
    pub(crate) all_but: Option<String>,
    /// Points that verify marked as damaged
    #[arg(long, conflicts_with_all = ["points", "all"])]
    pub(crate) corrupted: bool,
    /// Every point of the objects that are named, the newest included
    #[arg(long, conflicts_with = "older_than")]
    pub(crate) all: bool,
}

/// An age in the units of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    Hours(u32),
    Months(u32),
}

impl Age {
    /// The moment that lies so long before `now`.
    pub(crate) fn before(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Hours(hours) => now.checked_sub_signed(TimeDelta::hours(hours.into())),
            Self::Months(months) => now.checked_sub_months(Months::new(months)),
        }
    }
}

/// A number and one of h, d, w, m (months), y.
fn age(text: &str) -> Result<Age, String> {
    let wrong = || "a number and h, d, w, m (months) or y, such as 12h, 30d, 4w, 6m, 2y; or 0".to_owned();
    if text == "0" {
        return Ok(Age::Hours(0));
    }
    let (at, unit) = text.char_indices().last().ok_or_else(wrong)?;
    let number: u32 = text[..at].parse().map_err(|_| wrong())?;
    // 200 years.
    let times = |factor: u32, most: u32| number.checked_mul(factor).filter(|product| *product <= most);
    let (hours, months) = (200 * 366 * 24, 200 * 12);
    match unit {
        'h' => times(1, hours).map(Age::Hours),
        'd' => times(24, hours).map(Age::Hours),
        'w' => times(7 * 24, hours).map(Age::Hours),
        'm' => times(1, months).map(Age::Months),
        'y' => times(12, months).map(Age::Months),
        _ => return Err(wrong()),
    }
    .ok_or_else(|| "at most 200 years".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct PointDiff {
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    /// Name, address or id of the protected object
    #[arg(long, value_name = "NAME")]
    pub(crate) object: String,
    /// The older point, by the first digits of its id
    #[arg(value_name = "OLD")]
    pub(crate) old: String,
    /// The newer point: latest, or the first digits of its id
    #[arg(value_name = "NEW", default_value = "latest")]
    pub(crate) new: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Retention {
    /// Say which points would stay, why and until when
    #[command(after_help = RETENTION_HELP)]
    Plan(RetentionArgs),
    /// Remove the points that nothing keeps
    #[command(after_help = RETENTION_HELP)]
    Apply(RetentionArgs),
}

const RETENTION_HELP: &str = "\
A point stays if any rule keeps it. Protected points stay, and so does the newest complete one. Space is freed by: nakivo
repo reclaim.

Examples:
  nakivo retention plan --repo file:/backup/vault --object anna@contoso.com --last 10 --daily 10 --weekly 4
  nakivo retention apply --repo file:/backup/vault --object files --last 30 --time-zone Europe/Berlin";

#[derive(Debug, Args)]
pub(crate) struct RetentionArgs {
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    /// Name, address or id of the protected object; may be repeated [default: every object]
    #[arg(long = "object", value_name = "NAME")]
    pub(crate) objects: Vec<String>,
    /// Keep the last N points
    #[arg(long, value_name = "N", required_unless_present_any = ["daily", "weekly", "monthly", "yearly"])]
    pub(crate) last: Option<u32>,
    /// Keep one point a day, for N days
    #[arg(long, value_name = "N")]
    pub(crate) daily: Option<u32>,
    /// Keep one point a week, for N weeks
    #[arg(long, value_name = "N")]
    pub(crate) weekly: Option<u32>,
    /// Keep one point a month, for N months
    #[arg(long, value_name = "N")]
    pub(crate) monthly: Option<u32>,
    /// Keep one point a year, for N years
    #[arg(long, value_name = "N")]
    pub(crate) yearly: Option<u32>,
    /// Whose midnight counts: an IANA time zone
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    pub(crate) time_zone: nakivo_core::retention::Tz,
    /// Where a week begins
    #[arg(long, value_name = "DAY", default_value = "monday", value_parser = weekday)]
    pub(crate) first_day_of_week: nakivo_core::retention::Weekday,
}

/// A span of time: a number and one of m, h, d, w.
pub(super) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "a number and m, h, d or w, such as 90m, 24h, 7d, 12w; or 0".to_owned();
    if text == "0" {
        return Ok(std::time::Duration::ZERO);
    }
    let (at, unit) = text.char_indices().last().ok_or_else(wrong)?;
    let number: u64 = text[..at].parse().map_err(|_| wrong())?;
    let seconds: u64 = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let whole = number
        .checked_mul(seconds)
        .filter(|whole| *whole <= 200 * 366 * 86_400);
    whole
        .map(std::time::Duration::from_secs)
        .ok_or_else(|| "at most 200 years".to_owned())
}

/// A day (its end, UTC) or a moment, as milliseconds since 1970.
fn moment(text: &str) -> Result<i64, String> {
    use nakivo_core::chrono::{DateTime, Days, NaiveDate, NaiveTime};
    if let Ok(date) = text.parse::<NaiveDate>() {
        let next = date
            .checked_add_days(Days::new(1))
            .ok_or("a day within the calendar")?;
        return Ok(next.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
    }
    DateTime::parse_from_rfc3339(text)
        .map(|moment| moment.timestamp_millis())
        .map_err(|_| "a day such as 2027-12-31, or a moment such as 2027-12-31T18:00:00Z".to_owned())
}

pub(super) fn zone(text: &str) -> Result<nakivo_core::retention::Tz, String> {
    text.parse()
        .map_err(|_| "an IANA time zone such as Europe/Berlin or America/New_York".to_owned())
}

pub(super) fn weekday(text: &str) -> Result<nakivo_core::retention::Weekday, String> {
    text.parse()
        .map_err(|_| "a day of the week such as monday or sunday".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_a_number_and_a_unit() {
        let seconds = |text| duration(text).map(|span| span.as_secs());
        assert_eq!(seconds("90m"), Ok(5_400));
        assert_eq!(seconds("7d"), Ok(604_800));
        assert_eq!(seconds("0"), Ok(0));
        for wrong in [
            "",
            "d",
            "1",
            "1y",
            "-1d",
            "1.5h",
            "99999999999999999999w",
            "300000w",
            "1é",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ages_follow_the_calendar() {
        let now = DateTime::from_timestamp(1_774_958_400, 0).unwrap(); // 2026-03-31 12:00
        let before = |text| age(text).unwrap().before(now).unwrap().to_rfc3339();
        assert_eq!(before("0"), "2026-03-31T12:00:00+00:00");
        assert_eq!(before("12h"), "2026-03-31T00:00:00+00:00");
        assert_eq!(before("4w"), "2026-03-03T12:00:00+00:00");
        assert_eq!(before("1m"), "2026-02-28T12:00:00+00:00");
        assert_eq!(before("2y"), "2024-03-31T12:00:00+00:00");
        for wrong in [
            "",
            "d",
            "1",
            "1s",
            "-1d",
            "1.5d",
            "201y",
            "99999999999d",
            "4294967295w",
            "1é",
        ] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_is_kept_to_its_end() {
        assert_eq!(moment("1970-01-01"), Ok(86_400_000));
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(1_000));
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Ok(0));
        for wrong in ["", "tomorrow", "2027-13-01", "2027-02-30"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
