//! `nakivo repo key`: what opens a repository.

use std::io::Write as _;
use std::path::Path;

use nakivo_core::format::{RecoveryKey, Secret};
use nakivo_core::repository::{
    KeySlotKind, KeySlotSummary, ReclaimOptions, ReclaimReport, Repository, RotateOptions, SlotOptions,
};
use nakivo_core::seams::random_bytes;
use nakivo_core::{Error, ErrorKind, Result};
use serde_json::json;
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::grammar::{
    Key, KeyAdd, KeyPassphrase, KeyRecovery, KeyReencrypt, KeyRemove, KeyRotate, NewPassphraseArgs, PlaceArgs,
};
use crate::session::Session;
use crate::table::Table;
use crate::{passphrase, text};

/// Shortest beginning of a slot's id that is looked up.
const MIN_PREFIX_CHARS: usize = 4;

/// Runs one of the commands.
pub(super) async fn run(session: &Session, command: &Key) -> Result<Exit> {
    match command {
        Key::List(arguments) => list(session, &arguments.place).await,
        Key::Add(arguments) => add(session, arguments).await,
        Key::Remove(arguments) => remove(session, arguments).await,
        Key::Passphrase(arguments) => change(session, arguments).await,
        Key::Recovery(arguments) => recovery(session, arguments).await,
        Key::Rotate(arguments) => rotate(session, arguments).await,
        Key::Reencrypt(arguments) => reencrypt(session, arguments).await,
    }
}

async fn list(session: &Session, place: &PlaceArgs) -> Result<Exit> {
    let repository = session.open_place(place).await?;
    let found = session.unless_cancelled(repository.key_slots()).await?;
    let output = &session.output;
    let mut table = Table::new(&["slot", "kind", "label", "created", "cost of a try", ""]);
    for slot in &found.slots {
        output.record("key_slot", slot);
        table.row([
            slot.id.to_string(),
            kind(slot).to_owned(),
            slot.label.clone(),
            slot.created.clone(),
            cost(slot),
            match (slot.own, slot.removing) {
                (_, true) => "removal not finished",
                (true, _) => "opened this",
                _ => "",
            }
            .to_owned(),
        ]);
    }
    table.print(output);
    for damage in &found.damaged {
        output.warning(damage);
    }
    Ok(if found.damaged.is_empty() {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

fn kind(slot: &KeySlotSummary) -> &'static str {
    match slot.kind {
        KeySlotKind::Passphrase => "passphrase",
        KeySlotKind::Key => "key",
        _ => "not encrypted",
    }
}

fn cost(slot: &KeySlotSummary) -> String {
    match (slot.memory_kib, slot.time, slot.parallelism) {
        (Some(memory), Some(time), Some(lanes)) => format!(
            "{}, {}, {}",
            text::size(u64::from(memory) * 1024),
            text::plural(time.into(), "pass", "passes"),
            text::counted(lanes.into(), "lane"),
        ),
        _ => String::new(),
    }
}

fn new_secret(session: &Session, new: &NewPassphraseArgs) -> Result<(Secret, SlotOptions)> {
    let secret = passphrase::read_file(&new.new_passphrase_file, &session.output)?;
    Ok((
        secret.into(),
        SlotOptions::default().with_label(new.label.clone()),
    ))
}

async fn add(session: &Session, arguments: &KeyAdd) -> Result<Exit> {
    let (secret, options) = new_secret(session, &arguments.new)?;
    let repository = session.open_place(&arguments.place).await?;
    let slot = session
        .unless_cancelled(repository.add_key_slot(secret, options))
        .await?;
    session.output.record("key_slot", &slot);
    session.output.line(format!(
        "Added key slot {}: this passphrase opens the repository, too.",
        slot.id
    ));
    Ok(Exit::Ok)
}

async fn change(session: &Session, arguments: &KeyPassphrase) -> Result<Exit> {
    let (secret, options) = new_secret(session, &arguments.new)?;
    let repository = session.open_place(&arguments.place).await?;
    let slot = session
        .unless_cancelled(repository.change_secret(secret, options))
        .await?;
    session.output.record("key_slot", &slot);
    session.output.line(format!(
        "Key slot {} has taken the place of the one that opened the repository. Whoever knew the old passphrase may have kept \
         what it opened: if it is in the wrong hands, rotate the keys.",
        slot.id
    ));
    Ok(Exit::Ok)
}

async fn remove(session: &Session, arguments: &KeyRemove) -> Result<Exit> {
    let repository = session.open_place(&arguments.place).await?;
    let found = session.unless_cancelled(repository.key_slots()).await?;
    let wanted = arguments.slot.to_ascii_lowercase();
    let allowed = "4 to 16 hexadecimal digits of its id";
    if wanted.len() < MIN_PREFIX_CHARS || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::invalid("key slot", &arguments.slot, allowed));
    }
    let mut matching = found
        .slots
        .iter()
        .filter(|slot| slot.id.to_string().starts_with(&wanted));
    let slot = matching.next().ok_or_else(|| {
        Error::not_found("key slot", &arguments.slot).with_hint("List the key slots to see their ids.")
    })?;
    if matching.next().is_some() {
        return Err(Error::invalid(
            "key slot",
            &arguments.slot,
            "more digits: several ids begin with these",
        ));
    }
    let removed = session
        .unless_cancelled(repository.remove_key_slot(&slot.id))
        .await?;
    session.output.record("removed_key_slot", &removed);
    session.output.line(format!(
        "Removed key slot {} ({}).",
        removed.id,
        text::escape(&removed.label)
    ));
    Ok(Exit::Ok)
}

async fn recovery(session: &Session, arguments: &KeyRecovery) -> Result<Exit> {
    let repository = session.open_place(&arguments.place).await?;
    let key = RecoveryKey::from_random(random_bytes(&*session.environment.rng)?);
    let text = key.to_text();
    // Into the file first: a slot that nobody has the key of is of no use.
    if let Some(path) = &arguments.out {
        write_key(path, repository.id(), &text)?;
    }
    let options = SlotOptions::default().with_label(arguments.label.clone());
    let slot = session
        .unless_cancelled(repository.add_key_slot(key.into(), options))
        .await?;
    let output = &session.output;
    match &arguments.out {
        Some(path) => {
            output.record("key_slot", &slot);
            output.line(format!(
                "Added key slot {}. Its key is in '{}'; use it with --key-file.",
                slot.id,
                text::escape(&path.display().to_string())
            ));
        }
        None => {
            let mut fields = serde_json::to_value(&slot)
                .map_err(|error| Error::internal(format!("a slot cannot be written as JSON: {error}")))?;
            fields["recovery_key"] = json!(*text);
            output.record("key_slot", &fields);
            output.line(format!(
                "Added key slot {}. This is its recovery key; print it or write it down, it is not shown again:\n",
                slot.id
            ));
            for line in text.lines() {
                output.line(format!("    {line}"));
            }
            output.line("\nTo use it, put it into a file and name that with --key-file.");
        }
    }
    Ok(Exit::Ok)
}

/// Creates the key file; one that is there is never replaced.
fn write_key(path: &Path, repository: nakivo_core::format::RepositoryId, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let content = Zeroizing::new(format!(
        "# nakivo recovery key of repository {repository}\n{text}\n"
    ));
    let written = options.open(path).and_then(|mut file| {
        file.write_all(content.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionMissing,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("key file '{}': {error}", path.display()))
            .with_hint("Name a file that does not exist yet.")
    })
}

async fn rotate(session: &Session, arguments: &KeyRotate) -> Result<Exit> {
    let output = &session.output;
    let mut options = RotateOptions::default().with_drop_others(arguments.drop_others);
    for path in &arguments.keep_passphrase_file {
        options = options.with_kept(passphrase::read_file(path, output)?);
    }
    for path in &arguments.keep_key_file {
        options = options.with_kept(passphrase::read_key(path, output)?);
    }
    let repository = session.open_place(&arguments.place).await?;
    let report = session
        .unless_cancelled(repository.rotate_keys(options))
        .await
        .map_err(in_words_of_the_command_line)?;
    output.record("rotation", &report);
    output.line(format!(
        "{} epoch {}: new data is encrypted with new keys. {} the repository, {} removed.",
        if report.resumed {
            "Finished the rotation to"
        } else {
            "Began"
        },
        report.epoch,
        text::plural(report.kept.len() as u64, "key slot opens", "key slots open"),
        text::plural(report.dropped.len() as u64, "was", "were"),
    ));
    if arguments.no_reencrypt {
        output.line("What was stored before is still under the old keys: nakivo repo key reencrypt.");
        return Ok(Exit::Ok);
    }
    let options = ReclaimOptions::default().with_grace(arguments.grace);
    let report = session.follow("reencrypt", repository.reencrypt(options)).await?;
    render(session, &report, &repository).await
}

fn in_words_of_the_command_line(error: Error) -> Error {
    if error.kind() == ErrorKind::InvalidInput && error.message().starts_with("key slots that none") {
        return error.with_hint(
            "Name the secrets that shall stay valid with --keep-passphrase-file and --keep-key-file, or say --drop-others.",
        );
    }
    error
}

async fn reencrypt(session: &Session, arguments: &KeyReencrypt) -> Result<Exit> {
    let repository = session.open_place(&arguments.place).await?;
    let options = ReclaimOptions::default()
        .with_grace(arguments.grace)
        .with_preview(arguments.preview);
    let report = session.follow("reencrypt", repository.reencrypt(options)).await?;
    render(session, &report, &repository).await
}

async fn render(session: &Session, report: &ReclaimReport, repository: &Repository) -> Result<Exit> {
    let output = &session.output;
    let info = session.unless_cancelled(repository.info()).await?;
    let mut fields = serde_json::to_value(report)
        .map_err(|error| Error::internal(format!("a report cannot be written as JSON: {error}")))?;
    fields["epoch"] = json!(info.epoch);
    fields["epochs"] = json!(info.epochs);
    output.record("reencrypt", &fields);
    output.line(format!(
        "{} {} in {}; deleted {} in {}.",
        if report.preview {
            "To encrypt anew:"
        } else {
            "Encrypted anew:"
        },
        text::size(report.moved_bytes),
        text::counted(report.rewritten_packs, "pack"),
        text::size(report.freed_bytes),
        text::counted(report.deleted_objects, "object"),
    ));
    let older = info.epochs.iter().filter(|usage| usage.epoch < info.epoch);
    let (packs, waiting) = older.fold((0, 0), |(packs, waiting), usage| {
        (packs + usage.packs, waiting + usage.waiting_packs)
    });
    output.line(if packs + waiting == 0 {
        "No pack is left under older keys.".to_owned()
    } else {
        format!(
            "{} under older keys, {} waiting for the end of the grace time; run `nakivo repo key reencrypt` again after it.",
            text::counted(packs, "pack"),
            text::count(waiting)
        )
    });
    Ok(Exit::Ok)
}
