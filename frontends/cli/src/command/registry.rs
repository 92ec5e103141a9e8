//! `nakivo repo list|import|attach|detach|edit|refresh|remove`: the repositories that are known by a name.

use std::path::{Path, PathBuf};

use nakivo_core::director::Director;
use nakivo_core::registry::{Access, Registration, Registry, RepositoryName};
use nakivo_core::repository::{destroy, identify};
use nakivo_core::{Error, ErrorKind, Result};
use serde_json::json;

use crate::exit::Exit;
use crate::grammar::{PassphraseArgs, RepoEdit, RepoImport, RepoNamed, RepoRefresh, RepoRemove, StoreArgs};
use crate::session::Session;
use crate::table::Table;
use crate::{passphrase, store, text};

/// Fewest digits of an id that confirm a removal.
const MIN_CONFIRM_CHARS: usize = 8;

fn registry(session: &Session) -> Registry {
    Registry::new(&session.environment)
}

/// Lists the known repositories.
pub(super) async fn list(session: &Session) -> Result<Exit> {
    let mut table = Table::new(&[
        "NAME",
        "STATE",
        "LOCATION",
        ">BACKUPS",
        ">POINTS",
        ">USED",
        "REFRESHED",
    ]);
    for entry in registry(session).list().await? {
        record(session, &entry);
        let figures = entry.figures.as_ref();
        table.row([
            entry.name.to_string(),
            if entry.attached { "attached" } else { "detached" }.to_owned(),
            entry.url.clone(),
            figures
                .map(|figures| text::count(figures.objects as u64))
                .unwrap_or_default(),
            figures
                .map(|figures| text::count(figures.points as u64))
                .unwrap_or_default(),
            figures
                .map(|figures| text::size(figures.used_bytes))
                .unwrap_or_default(),
            figures
                .map(|figures| text::moment_ms(figures.taken_ms))
                .unwrap_or_default(),
        ]);
    }
    table.print(&session.output);
    Ok(Exit::Ok)
}

fn record(session: &Session, entry: &Registration) {
    let figures = entry.figures.as_ref();
    session.output.record(
        "registered",
        &json!({
            "name": entry.name,
            "id": entry.id.to_string(),
            "location": entry.url,
            "attached": entry.attached,
            "description": entry.description,
            "passphrase_file": entry.passphrase_file,
            "key_file": entry.key_file,
            "store_config": entry.store_config,
            "schedules": entry.schedules,
            "figures": figures,
            "ratio": figures.map(nakivo_core::registry::Figures::ratio),
        }),
    );
}

fn said(session: &Session, entry: &Registration, what: &str) {
    record(session, entry);
    session.output.line(format!(
        "Repository {} at {}: {what}.",
        entry.name,
        text::escape(&entry.url)
    ));
}

/// The same file from whatever directory a later command is started.
pub(super) fn absolute(path: Option<PathBuf>) -> Result<Option<PathBuf>> {
    let absolute = |path: PathBuf| {
        std::path::absolute(&path)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, format!("{}: {error}", path.display())))
    };
    path.map(absolute).transpose()
}

/// A location that means the same from whatever directory a later command is started.
fn absolute_url(url: &str) -> Result<String> {
    let location = nakivo_core::store::StoreLocation::parse(url)?;
    Ok(match absolute(location.path().map(Path::to_owned))? {
        Some(path) => format!("file:{}", path.display()),
        None => location.to_string(),
    })
}

/// How a repository that was opened like this can be opened by later commands.
pub(super) fn access(
    url: &str,
    store: &StoreArgs,
    passphrase: &PassphraseArgs,
    encrypted: bool,
) -> Result<Access> {
    let named = passphrase::named(passphrase);
    let store_config = store.store_config.clone();
    Ok(Access {
        url: absolute_url(url)?,
        passphrase_file: absolute(named.file)?.filter(|_| encrypted),
        key_file: absolute(named.key_file)?.filter(|_| encrypted),
        store_config: absolute(store_config.or_else(|| passphrase::named_in(store::VARIABLE)))?
            .filter(|_| !url.starts_with("file:")),
    })
}

/// Enters a repository that exists.
pub(super) async fn import(session: &Session, arguments: &RepoImport) -> Result<Exit> {
    let repository = session
        .open_url(&arguments.url, &arguments.store, &arguments.passphrase)
        .await?;
    let encrypted = repository.config().encrypted;
    let access = access(&arguments.url, &arguments.store, &arguments.passphrase, encrypted)?;
    let registry = registry(session);
    let importing = registry.import(arguments.name.clone(), access, &repository);
    let entry = session.unless_cancelled(importing).await?;
    let figures = entry.figures.as_ref();
    said(
        session,
        &entry,
        &format!(
            "imported with {} in {}",
            text::counted(
                figures.map_or(0, |figures| figures.points as u64),
                "recovery point"
            ),
            text::counted(figures.map_or(0, |figures| figures.objects as u64), "backup")
        ),
    );
    Ok(Exit::Ok)
}

/// Lets jobs use it again.
pub(super) async fn attach(session: &Session, arguments: &RepoNamed) -> Result<Exit> {
    let repository = session.open_registered(&arguments.name, true).await?;
    let registry = registry(session);
    let attaching = registry.attach(&arguments.name, &repository);
    let entry = session.unless_cancelled(attaching).await?;
    said(session, &entry, "attached");
    Ok(Exit::Ok)
}

/// Keeps jobs from using it.
pub(super) async fn detach(session: &Session, arguments: &RepoNamed) -> Result<Exit> {
    let entry = registry(session).detach(&arguments.name).await?;
    said(
        session,
        &entry,
        "detached; commands that name it are refused until it is attached",
    );
    Ok(Exit::Ok)
}

/// Changes what is known of it.
pub(super) async fn edit(session: &Session, arguments: &RepoEdit) -> Result<Exit> {
    let edits = &arguments.what;
    let url = edits.url.as_deref().map(absolute_url).transpose()?;
    let passphrase_file = absolute(edits.passphrase_file.clone())?;
    let key_file = absolute(edits.key_file.clone())?;
    let store_config = absolute(edits.store_config.clone())?;
    let mut exit = Exit::Ok;
    if let Some(days) = edits.immutable_days {
        let repository = session.open_registered(&arguments.named.name, true).await?;
        let setting = repository.set_immutable_days(days);
        let report = session.follow("renew locks", setting).await?;
        exit = super::locks::render_renewal(session, &report)?;
    }
    let entry = registry(session)
        .edit(&arguments.named.name, |entry| {
            if let Some(name) = &edits.new_name {
                entry.name = name.clone();
            }
            if let Some(url) = url {
                entry.url = url;
            }
            if let Some(text) = &edits.description {
                entry.description = Some(text.clone()).filter(|text| !text.is_empty());
            }
            entry.passphrase_file = passphrase_file.or_else(|| entry.passphrase_file.take());
            entry.key_file = key_file.or_else(|| entry.key_file.take());
            entry.store_config = store_config.or_else(|| entry.store_config.take());
        })
        .await?;
    said(session, &entry, "changed");
    Ok(exit)
}

/// Reads the figures anew, one repository after the other.
pub(super) async fn refresh(session: &Session, arguments: &RepoRefresh) -> Result<Exit> {
    let registry = registry(session);
    let names: Vec<RepositoryName> = if arguments.names.is_empty() {
        let known = registry.list().await?.into_iter();
        known
            .filter(|entry| entry.attached)
            .map(|entry| entry.name)
            .collect()
    } else {
        arguments.names.clone()
    };
    let mut exit = Exit::Ok;
    for name in &names {
        let refreshed = async {
            let repository = session.open_registered(name, false).await?;
            session
                .unless_cancelled(registry.refresh(name, &repository))
                .await
        };
        match refreshed.await {
            Ok(entry) => said(session, &entry, "refreshed"),
            // The others are looked at all the same.
            Err(error) if names.len() > 1 && error.kind() != ErrorKind::Cancelled => {
                session.output.warning(&format!("{name}: {error}"));
                exit = Exit::Partial;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(exit)
}

/// Forgets it, with or without its data.
pub(super) async fn remove(session: &Session, director: &Director, arguments: &RepoRemove) -> Result<Exit> {
    let registry = director.registry();
    let name = &arguments.named.name;
    let entry = registry.get(name).await?;
    let unused = director.jobs_using(entry.id).await?.is_empty();
    // What is in use is refused below, with the names of the jobs.
    if let Some(confirm) = arguments.confirm.as_ref().filter(|_| unused) {
        delete_data(session, &entry, confirm).await?;
    }
    let entry = director.remove_repository(name).await?;
    let what = if arguments.with_data {
        "removed with all its data"
    } else {
        "forgotten; its data is where it was"
    };
    said(session, &entry, what);
    Ok(Exit::Ok)
}

async fn delete_data(session: &Session, entry: &Registration, confirm: &str) -> Result<()> {
    let id = entry.id.to_string();
    if confirm.len() < MIN_CONFIRM_CHARS || !id.starts_with(&confirm.to_ascii_lowercase()) {
        return Err(Error::invalid(
            "--confirm",
            confirm,
            "the first 8 or more digits of the id of this repository",
        )
        .with_hint(format!("If it is to be deleted, its id is {id}.")));
    }
    let arguments = StoreArgs {
        store_config: entry.store_config.clone(),
    };
    let (location, settings) = store::locate(&entry.url, &arguments, &session.output)?;
    let opened = session
        .unless_cancelled(async {
            let store = location.open_with(&settings).await?;
            let found = identify(store.clone(), session.environment.clone()).await?;
            Ok((store, found))
        })
        .await;
    let store = match opened {
        Ok((store, _)) => store,
        // An earlier call came to the end of it.
        Err(error) if error.kind() == ErrorKind::RepositoryMissing => return Ok(()),
        Err(error) => return Err(error),
    };
    let removing = destroy(store, entry.id, session.environment.clone());
    let report = session.follow("remove", removing).await?;
    session.output.record("removed", &report);
    session.output.line(format!(
        "Deleted {} with {}.",
        text::counted(report.objects, "object"),
        text::size(report.bytes)
    ));
    Ok(())
}
