//! `nakivo account add|list|show|check|edit|remove`: organisations that jobs name.

use std::collections::BTreeMap;
use std::path::Path;

use nakivo_core::director::{AccountEntry, AccountForm, Director};
use nakivo_core::{ErrorKind, Result};
use nakivo_graph_connector::CONNECTOR_NAME;
use serde_json::json;

use super::account;
use super::director::journalled;
use super::job::path_text;
use crate::exit::Exit;
use crate::grammar::{AccountAdd, AccountCheck, AccountEdit};
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Adds an account that can sign in.
pub(super) async fn add(session: &Session, director: &Director, arguments: &AccountAdd) -> Result<Exit> {
    let mut form = AccountForm::new(&arguments.name, CONNECTOR_NAME, &path_text(&arguments.file)?);
    form.description.clone_from(&arguments.description);
    form.details = details(session, &arguments.file)?;
    let tried = if arguments.no_check {
        Exit::Ok
    } else {
        try_out(session, &arguments.name, &form.location).await?
    };
    let entry = director.add_account(form).await?;
    said(session, director, &entry, "added").await?;
    Ok(worse(tried, journalled(session, director).await?))
}

/// Changes an account.
pub(super) async fn edit(session: &Session, director: &Director, arguments: &AccountEdit) -> Result<Exit> {
    let entry = director.account(&arguments.named.account).await?;
    let edits = &arguments.what;
    let mut form = entry.account.clone();
    if let Some(name) = &edits.new_name {
        form.name.clone_from(name);
    }
    if let Some(file) = &edits.file {
        form.location = path_text(file)?;
        form.details = details(session, file)?;
    }
    if let Some(description) = &edits.description {
        form.description.clone_from(description);
    }
    let entry = director.edit_account(&entry.id, |before| *before = form).await?;
    said(session, director, &entry, "changed").await?;
    journalled(session, director).await
}

/// Forgets an account that no job uses.
pub(super) async fn remove(session: &Session, director: &Director, name: &str) -> Result<Exit> {
    let entry = director.account(name).await?;
    let entry = director.remove_account(&entry.id).await?;
    said(session, director, &entry, "forgotten; its file is where it was").await?;
    journalled(session, director).await
}

/// Lists the accounts.
pub(super) async fn list(session: &Session, director: &Director) -> Result<Exit> {
    let mut table = Table::new(&["NAME", "KIND", "LOCATION", "JOBS"]);
    for entry in director.accounts().await? {
        let jobs = director.jobs_with(&entry.id).await?;
        record(session, &entry, &jobs);
        let account = &entry.account;
        table.row([
            account.name.clone(),
            account.connector.clone(),
            account.location.clone(),
            jobs.join(", "),
        ]);
    }
    table.print(&session.output);
    Ok(Exit::Ok)
}

/// Shows one account.
pub(super) async fn show(session: &Session, director: &Director, name: &str) -> Result<Exit> {
    let entry = director.account(name).await?;
    let jobs = director.jobs_with(&entry.id).await?;
    record(session, &entry, &jobs);
    let account = &entry.account;
    let mut lines = vec![
        ("account", account.name.clone()),
        ("id", entry.id.to_string()),
        ("kind", account.connector.clone()),
        ("location", account.location.clone()),
        ("description", account.description.clone()),
    ];
    let details = account.details.iter();
    lines.extend(details.map(|(name, value)| (name.as_str(), value.clone())));
    lines.push(("jobs", jobs.join(", ")));
    for (label, value) in lines {
        let line = format!("{:<14} {}", text::escape(label), text::escape(&value));
        session.output.line(line);
    }
    Ok(Exit::Ok)
}

/// Tries what accounts may do.
pub(super) async fn check(session: &Session, director: &Director, arguments: &AccountCheck) -> Result<Exit> {
    let mut accounts = Vec::new();
    for name in &arguments.accounts {
        accounts.push(director.account(name).await?);
    }
    if accounts.is_empty() {
        accounts = director.accounts().await?;
    }
    let single = accounts.len() == 1;
    let mut exit = Exit::Ok;
    for AccountEntry { account, .. } in &accounts {
        match try_out(session, &account.name, &account.location).await {
            Ok(tried) => exit = worse(exit, tried),
            Err(error) if single || error.kind() == ErrorKind::Cancelled => return Err(error),
            // The others are tried all the same.
            Err(error) => {
                let name = text::escape(&account.name);
                session.output.warning(&format!("{name}: {error}"));
                exit = Exit::Partial;
            }
        }
    }
    Ok(exit)
}

/// Signs in and tries what each service needs.
async fn try_out(session: &Session, name: &str, location: &str) -> Result<Exit> {
    let connector = account::organisation(session, location.as_ref(), &[])?;
    let checks = session.unless_cancelled(connector.check_permissions()).await?;
    let mut table = Table::new(&["PERMISSION", "GRANTED", "NEEDED FOR", "SEEN"]);
    let mut missing = Vec::new();
    for check in &checks {
        let fields = json!({ "account": name, "check": check });
        session.output.record("permission", &fields);
        let granted = match check.granted {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not tried",
        };
        if check.granted == Some(false) {
            missing.push(format!("{} ({})", check.blocks, check.permission));
        }
        table.row([
            check.permission.to_owned(),
            granted.to_owned(),
            check.blocks.to_owned(),
            check.message.clone(),
        ]);
    }
    table.print(&session.output);
    if missing.is_empty() {
        return Ok(Exit::Ok);
    }
    let name = text::escape(name);
    let missing = missing.join(", ");
    session.output.warning(&format!(
        "account {name} may not: {missing}; see docs/permissions.md"
    ));
    Ok(Exit::Partial)
}

/// What an account is, for people.
fn details(session: &Session, file: &Path) -> Result<BTreeMap<String, String>> {
    let config = account::read(file, &session.output)?;
    let mut details = BTreeMap::from([
        ("directory_id".to_owned(), config.directory_id),
        ("app_id".to_owned(), config.app_id),
    ]);
    details.extend(config.display_name.map(|name| ("display_name".to_owned(), name)));
    Ok(details)
}

/// Both were done: the first that was not done in full decides.
fn worse(one: Exit, other: Exit) -> Exit {
    if one == Exit::Ok { other } else { one }
}

fn record(session: &Session, entry: &AccountEntry, jobs: &[String]) {
    let fields = json!({
        "id": entry.id,
        "added": entry.added,
        "jobs": jobs,
        "account": entry.account,
    });
    session.output.record("account", &fields);
}

async fn said(session: &Session, director: &Director, entry: &AccountEntry, what: &str) -> Result<()> {
    record(session, entry, &director.jobs_with(&entry.id).await?);
    let name = text::escape(&entry.account.name);
    session.output.line(format!("Account {name}: {what}."));
    Ok(())
}

/// What `--account` means: the account of that name, or else a file.
pub(super) async fn named(director: &Director, text: &Path) -> Result<Option<AccountEntry>> {
    let Some(name) = text.to_str() else {
        return Ok(None);
    };
    match director.account(name).await {
        Ok(entry) => Ok(Some(entry)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
