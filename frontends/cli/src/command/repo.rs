//! `nakivo repo`: create, inspect, verify.

use nakivo_core::format::{Compression, FORMAT_VERSION, RepositoryConfig};
use nakivo_core::repository::{CreateOptions, Repository, RepositoryInfo, VerifyOptions, VerifyReport};
use nakivo_core::store::StoreLocation;
use nakivo_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::json;

use super::backup::short;
use crate::exit::Exit;
use crate::grammar::{CompressionLevel, RepoInfo, RepoInit, RepoVerify};
use crate::session::{Session, is_of_the_log};
use crate::{passphrase, store, text};

/// Creates a repository.
pub(super) async fn init(session: &Session, arguments: &RepoInit) -> Result<Exit> {
    let (location, settings) = store::locate(&arguments.url, &arguments.store, &session.output)?;
    let passphrase = if arguments.no_encryption {
        None
    } else {
        passphrase::read(&arguments.passphrase, &session.output)?
    };
    if passphrase.is_none() && !arguments.no_encryption {
        return Err(Error::new(ErrorKind::InvalidInput, "neither a passphrase file nor --no-encryption is given")
            .with_hint(
                "Encrypt with --passphrase-file FILE (or NAKIVO_PASSPHRASE_FILE), or say --no-encryption to let everybody \
                 who can read what is stored there read the data.",
            ));
    }
    let options = passphrase
        .map_or_else(CreateOptions::unencrypted, CreateOptions::encrypted)
        .with_compression(match arguments.compression {
            CompressionLevel::Disabled => Compression::Disabled,
            CompressionLevel::Fast => Compression::Fast,
            CompressionLevel::Medium => Compression::Medium,
            CompressionLevel::Best => Compression::Best,
        });
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
    if config.encrypted {
        session
            .output
            .line("Keep the passphrase: without it nothing can be recovered.");
    } else {
        session
            .output
            .line("It is not encrypted: whoever can read what is stored there can read the data.");
    }
    Ok(Exit::Ok)
}

/// Shows what a repository holds.
pub(super) async fn info(session: &Session, arguments: &RepoInfo) -> Result<Exit> {
    let repository = session
        .open_url(&arguments.url, &arguments.store, &arguments.passphrase)
        .await?;
    let info = session.unless_cancelled(repository.info()).await?;
    let known = session.known_as(&arguments.url).await?;
    let location = match &known {
        Some(entry) => entry.url.clone(),
        None => StoreLocation::parse(&arguments.url)?.to_string(),
    };
    let output = &session.output;
    output.record(
        "repository",
        &Located {
            location: location.clone(),
            name: known.as_ref().map(|entry| entry.name.as_str()),
            description: known.as_ref().and_then(|entry| entry.description.as_deref()),
            reclaimable_bytes: known
                .as_ref()
                .and_then(|entry| entry.figures.as_ref()?.reclaimable_bytes),
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
    ];
    for (label, value) in lines {
        output.line(format!("{label:<14} {}", text::escape(&value)));
    }
    for note in info.notes.iter().filter(|note| !is_of_the_log(note)) {
        output.warning(note);
    }
    if info.read_only {
        output.line("The commit log is damaged: this repository can be read but not written.");
    }
    Ok(Exit::Ok)
}

/// What the SDK says about a repository, and where it is.
#[derive(Serialize)]
struct Located<'a> {
    location: String,
    name: Option<&'a str>,
    description: Option<&'a str>,
    /// As reclaim saw it last, by preview.
    reclaimable_bytes: Option<u64>,
    #[serde(flatten)]
    repository: &'a RepositoryInfo,
}

/// Reads and authenticates what the recovery points need. Damage is exit code 1.
pub(super) async fn verify(session: &Session, arguments: &RepoVerify) -> Result<Exit> {
    let repository = session
        .open_url(&arguments.url, &arguments.store, &arguments.passphrase)
        .await?;
    let mut options = VerifyOptions::default();
    if let Some(percent) = arguments.sample {
        options = options.with_sample_percent(percent);
    }
    let report = session.follow("verify", repository.verify(options)).await?;
    Ok(render_verify(session, &report))
}

/// Affected items shown to people for each damaged object; programs get all that the report lists.
const MAX_SHOWN: usize = 20;

/// Renders a verification and says how the command ends.
pub(crate) fn render_verify(session: &Session, report: &VerifyReport) -> Exit {
    let output = &session.output;
    for damage in &report.damage {
        output.record("damage", damage);
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
    if !report.is_clean() {
        let count = text::counted(report.damage.len() as u64, "damaged or missing object");
        output.line(format!("Found {count}. What is not listed can be recovered."));
        return Exit::Failed;
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
    })
}
