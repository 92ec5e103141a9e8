//! `nakivo repo`: create, inspect, verify.

use nakivo_core::format::{Compression, FORMAT_VERSION, RepositoryConfig};
use nakivo_core::repository::{
    CreateOptions, Damage, EpochUsage, ReclaimOptions, Repository, RepositoryInfo, VerifyOptions,
    VerifyReport,
};
use nakivo_core::store::StoreLocation;
use nakivo_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::json;

use super::backup::short;
use super::locks;
use crate::exit::Exit;
use crate::grammar::{CompressionLevel, RepoInfo, RepoInit, RepoVerify};
use crate::output::Output;
use crate::session::Session;
use crate::{passphrase, store, text};

/// Creates a repository.
pub(super) async fn init(session: &Session, arguments: &RepoInit) -> Result<Exit> {
    let (location, settings) = store::locate(&arguments.url, &arguments.store, &session.output)?;
    let secret = if arguments.no_encryption {
        None
    } else {
        passphrase::read(&arguments.passphrase, &session.output)?
    };
    if secret.is_none() && !arguments.no_encryption {
        return Err(Error::new(ErrorKind::InvalidInput, "neither a passphrase file nor --no-encryption is given")
            .with_hint(
                "Encrypt with --passphrase-file FILE (or NAKIVO_PASSPHRASE_FILE), or say --no-encryption to let everybody \
                 who can read what is stored there read the data.",
            ));
    }
    let options = secret
        .map_or_else(CreateOptions::unencrypted, CreateOptions::encrypted)
        .with_compression(match arguments.compression {
            CompressionLevel::Disabled => Compression::Disabled,
            CompressionLevel::Fast => Compression::Fast,
            CompressionLevel::Medium => Compression::Medium,
            CompressionLevel::Best => Compression::Best,
        })
        .with_immutable_days(arguments.immutable_days);
    let repository = session
        .unless_cancelled(async {
            let store = location.create_with(&settings).await?;
            Repository::create(store, options, session.environment.clone()).await
        })
        .await?;
    let config = repository.config();
    session.output.record("repository", &describe(&location, config));
    session.output.line(format!(
        "Created repository {} at {}.",
        config.id,
        text::escape(&location.to_string())
    ));
    if let Some(days) = config.immutable_days {
        session.output.line(format!(
            "Nobody can remove a recovery point for {} after it was made: proven by trying.",
            text::counted(days.into(), "day")
        ));
    }
    if config.encrypted {
        session
            .output
            .line("Keep the passphrase or the key: without it nothing can be recovered. For a second way in: nakivo repo key recovery.");
    } else {
        session
            .output
            .line("It is not encrypted: whoever can read what is stored there can read the data.");
    }
    Ok(Exit::Ok)
}

/// Shows what a repository holds.
pub(super) async fn info(session: &Session, arguments: &RepoInfo) -> Result<Exit> {
    let repository = session.open_place(&arguments.place).await?;
    let info = session.unless_cancelled(repository.info()).await?;
    let reclaimable = if arguments.reclaimable {
        let options = ReclaimOptions::default().with_preview(true);
        match session.follow("reclaim", repository.reclaim(options)).await {
            Ok(report) => Some(report.reclaimable_bytes()),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                session
                    .output
                    .warning(&format!("what can be freed is not known: {error}"));
                None
            }
            Err(error) => return Err(error),
        }
    } else {
        None
    };
    let known = session.known_as(&arguments.place.url).await?;
    let location = match &known {
        Some(entry) => entry.url.clone(),
        None => StoreLocation::parse(&arguments.place.url)?.to_string(),
    };
    let output = &session.output;
    output.record(
        "repository",
        &Located {
            location: location.clone(),
            name: known.as_ref().map(|entry| entry.name.as_str()),
            description: known.as_ref().and_then(|entry| entry.description.as_deref()),
            reclaimable_bytes: reclaimable.or_else(|| known.as_ref()?.figures.as_ref()?.reclaimable_bytes),
            repository: &info,
        },
    );
    let lines = [
        ("repository", info.id.to_string()),
        ("location", location),
        ("created", info.created.clone()),
        ("format", format!("version {}", info.version)),
        ("encrypted", if info.encrypted { "yes" } else { "no" }.to_owned()),
        ("compression", info.compression.to_string()),
        ("objects", text::count(info.objects as u64)),
        ("points", text::count(info.points as u64)),
        (
            "data",
            format!("{} in all points", text::size(info.logical_bytes)),
        ),
        (
            "unique",
            format!(
                "{} in {}",
                text::size(info.unique_bytes),
                text::counted(info.chunks as u64, "chunk")
            ),
        ),
        (
            "stored",
            format!(
                "{} in {}",
                text::size(info.stored_bytes),
                text::counted(info.packs as u64, "pack")
            ),
        ),
        ("ratio", text::ratio(info.logical_bytes, info.stored_bytes)),
        ("commits", text::count(info.head)),
        ("key epoch", text::count(info.epoch.into())),
    ];
    for (label, value) in lines {
        output.line(format!("{label:<14} {}", text::escape(&value)));
    }
    if let Some(immutable) = &info.immutable {
        output.line(format!("{:<14} {}", "immutable", locks::info_words(immutable)));
    }
    for usage in info.epochs.iter().filter(|usage| usage.epoch < info.epoch) {
        output.line(format!("{:<14} {}", "older epoch", older_epoch(usage)));
    }
    if let Some(bytes) = reclaimable {
        output.line(format!("{:<14} {}", "reclaimable", text::size(bytes)));
    }
    if info.damaged_points + info.damaged_packs > 0 {
        output.line(format!(
            "{:<14} {} and {}; heal with: nakivo repo heal",
            "damaged",
            text::counted(info.damaged_points as u64, "recovery point"),
            text::counted(info.damaged_packs as u64, "pack")
        ));
    }
    for note in &info.notes {
        output.warning(note);
    }
    if info.read_only {
        output.line("The commit log is damaged: this repository can be read but not written.");
    }
    Ok(Exit::Ok)
}

/// What is still sealed under keys of an older epoch.
fn older_epoch(usage: &EpochUsage) -> String {
    let mut parts = vec![format!(
        "{}: {} in {}",
        usage.epoch,
        text::size(usage.pack_bytes),
        text::counted(usage.packs, "pack")
    )];
    if usage.waiting_packs > 0 {
        parts.push(format!(
            "{} waiting to be deleted",
            text::count(usage.waiting_packs)
        ));
    }
    parts.push(text::counted(usage.index_segments, "index segment"));
    parts.push(text::counted(usage.commits, "commit"));
    parts.join(", ")
}

/// What the SDK says about a repository, and where it is.
#[derive(Serialize)]
struct Located<'a> {
    location: String,
    name: Option<&'a str>,
    description: Option<&'a str>,
    /// As found out now, or as reclaim saw it last, by preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    reclaimable_bytes: Option<u64>,
    #[serde(flatten)]
    repository: &'a RepositoryInfo,
}

/// Reads and authenticates what the recovery points need. Damage is exit code 1.
pub(super) async fn verify(session: &Session, arguments: &RepoVerify) -> Result<Exit> {
    let repository = session.open_place(&arguments.place).await?;
    let writable = repository.log_damage().is_empty();
    let mut options = VerifyOptions::default()
        .with_record(!arguments.no_marks && writable)
        .with_resume(arguments.resume)
        .with_max_duration(arguments.max_duration);
    if let Some(percent) = arguments.sample {
        options = options.with_sample_percent(percent);
    }
    if let Some(name) = &arguments.object {
        options = options.with_object(repository.find_object(name)?.id);
    }
    if let Some(digits) = &arguments.point {
        options = options.with_point(repository.point_by_id(digits)?.id);
    }
    let whole = arguments.sample.is_none() && arguments.object.is_none() && arguments.point.is_none();
    let report = session.follow("verify", repository.verify(options)).await?;
    let exit = render_verify(session, &report);
    if !whole || report.interrupted || repository.immutability().is_none() {
        return Ok(exit);
    }
    if !report.is_clean() {
        session
            .output
            .line("What is missing may only be hidden; see: nakivo repo unhide --preview");
    }
    let locked = locks::check(session, &repository).await?;
    Ok(if exit == Exit::Ok { locked } else { exit })
}

/// Affected items shown to people for each damaged object; programs get all that the report lists.
const MAX_SHOWN: usize = 20;

/// Names a damaged object and what needs it.
pub(super) fn damage_lines(output: &Output, damage: &Damage) {
    output.line(format!(
        "damaged: {}: {}",
        text::escape(&damage.object),
        text::escape(&damage.what)
    ));
    for item in damage.affected.iter().take(MAX_SHOWN) {
        let point = item.point.to_string();
        output.line(format!(
            "  needed by {} of {}, point {}",
            text::escape(&item.path),
            text::escape(&item.object),
            short(&point)
        ));
    }
    let more = damage.affected_count.saturating_sub(MAX_SHOWN as u64);
    if more > 0 {
        output.line(format!("  and {} more", text::count(more)));
    }
}

/// Renders a verification and says how the command ends.
pub(crate) fn render_verify(session: &Session, report: &VerifyReport) -> Exit {
    let output = &session.output;
    for damage in &report.damage {
        output.record("damage", damage);
        damage_lines(output, damage);
    }
    output.record(
        "verify",
        &json!({
            "verified": report.is_clean(),
            "complete": report.complete,
            "objects": report.objects,
            "packs": report.packs,
            "chunks": report.chunks,
            "points": report.points,
            "items": report.items,
            "bytes": report.bytes,
            "content_bytes": report.content_bytes,
            "damage": report.damage.len(),
            "damaged_points": report.damaged_points,
            "interrupted": report.interrupted,
            "resumed": report.resumed,
            "recorded": report.recorded,
            "unrecorded": report.unrecorded,
            "seed": report.seed,
        }),
    );
    output.line(format!(
        "Read {} and {} ({} in {}) for {} of {}.",
        text::counted(report.packs, "pack"),
        text::counted(report.objects, "other object"),
        text::size(report.bytes),
        text::counted(report.chunks, "chunk"),
        text::counted(report.items, "item"),
        text::counted(report.points, "recovery point"),
    ));
    if let Some(why) = &report.unrecorded {
        output.warning(&format!(
            "what was found could not be noted in the repository: {why}"
        ));
    }
    if !report.is_clean() {
        let count = text::counted(report.damage.len() as u64, "damaged or missing object");
        output.line(format!("Found {count}. What is not listed can be recovered."));
        if report.recorded.is_some() {
            output.line("The damage is noted in the repository: its points are marked, and new backups do not rely on it.");
        }
        return Exit::Failed;
    }
    if report.interrupted {
        output.line("Time ran out before everything was read; go on with --resume. No damage so far.");
        return Exit::Partial;
    }
    output.line(if report.complete {
        "No damage: every byte that the recovery points need is there and authentic."
    } else {
        "No damage in the share that was read."
    });
    Exit::Ok
}

fn describe(location: &StoreLocation, config: &RepositoryConfig) -> serde_json::Value {
    json!({
        "location": location.to_string(),
        "id": config.id.to_string(),
        "created": config.created,
        "version": FORMAT_VERSION,
        "encrypted": config.encrypted,
        "compression": config.compression.to_string(),
        "immutable_days": config.immutable_days,
    })
}
