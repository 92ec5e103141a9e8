//! The commands. Each opens what it needs, calls one verb of the SDK and renders the answer.

use std::sync::Arc;

use nakivo_core::Result;

use crate::exit::Exit;
use crate::grammar::{Account, Backup, Command, Director, Job, Object, Point, Repo};
use crate::session::Session;

pub(crate) mod account;
mod accounts;
pub(crate) mod backup;
mod browse;
mod care;
mod copy;
mod director;
pub(crate) mod emulate;
mod export;
mod find;
mod heal;
mod job;
mod keys;
mod locks;
mod object;
pub(crate) mod point;
mod recover;
mod registry;
pub(crate) mod repo;
mod run;

/// Runs one command to its end.
pub(crate) async fn run(session: &Arc<Session>, command: &Command) -> Result<Exit> {
    match command {
        Command::Demo(demo) => Box::pin(crate::demo::run(session, demo)).await,
        Command::Emulate(emulate) => emulate::run(session, emulate).await,
        Command::Repo(Repo::Init(init)) => repo::init(session, init).await,
        Command::Repo(Repo::Info(info)) => repo::info(session, info).await,
        Command::Repo(Repo::Verify(verify)) => repo::verify(session, verify).await,
        Command::Repo(Repo::Reclaim(reclaim)) => care::reclaim(session, reclaim).await,
        Command::Repo(Repo::Lock(lock)) => locks::lock(session, lock).await,
        Command::Repo(Repo::Unhide(unhide)) => locks::unhide(session, unhide).await,
        Command::Repo(Repo::Key(key)) => keys::run(session, key).await,
        Command::Repo(Repo::Heal(arguments)) => heal::run(session, arguments).await,
        Command::Repo(Repo::List) => registry::list(session).await,
        Command::Repo(Repo::Import(import)) => registry::import(session, import).await,
        Command::Repo(Repo::Attach(named)) => registry::attach(session, named).await,
        Command::Repo(Repo::Detach(named)) => registry::detach(session, named).await,
        Command::Repo(Repo::Edit(edit)) => registry::edit(session, edit).await,
        Command::Repo(Repo::Refresh(refresh)) => registry::refresh(session, refresh).await,
        Command::Repo(Repo::Remove(remove)) => {
            registry::remove(session, &run::director(session).await?, remove).await
        }
        Command::Repo(Repo::Copy(copy)) => copy::run(session, copy).await,
        Command::Backup(Backup::Folder(folder)) => backup::folder(session, folder).await,
        Command::Backup(Backup::M365(m365)) => backup::m365(session, m365).await,
        Command::Object(Object::List(list)) => object::list(session, list).await,
        Command::Point(Point::List(list)) => point::list(session, list).await,
        Command::Point(Point::Show(show)) => care::show(session, show).await,
        Command::Point(Point::Protect(protect)) => care::protect(session, protect).await,
        Command::Point(Point::Describe(describe)) => care::describe(session, describe).await,
        Command::Point(Point::Delete(delete)) => care::delete(session, delete).await,
        Command::Point(Point::Diff(diff)) => care::diff(session, diff).await,
        Command::Account(account) => self::accounts(session, account).await,
        Command::Job(job) => self::jobs(session, job).await,
        Command::Director(command) => self::director(session, command).await,
        Command::Retention(retention) => care::retention(session, retention).await,
        Command::Browse(browse) => browse::run(session, browse).await,
        Command::Find(find) => find::run(session, find).await,
        Command::Recover(recover) => recover::run(session, recover).await,
        Command::Export(export) => export::run(session, export).await,
    }
}

async fn jobs(session: &Arc<Session>, command: &Job) -> Result<Exit> {
    let director = run::director(session).await?;
    match command {
        Job::Add(add) => job::add(session, &director, add).await,
        Job::List => job::list(session, &director).await,
        Job::Show(show) => job::show(session, &director, show).await,
        Job::Edit(edit) => job::edit(session, &director, edit).await,
        Job::Remove(remove) => job::remove(session, &director, remove).await,
        Job::Run(run) => run::job(session, &director, run).await,
        Job::History(history) => run::history(session, &director, history).await,
    }
}

async fn accounts(session: &Arc<Session>, command: &Account) -> Result<Exit> {
    let director = run::director(session).await?;
    match command {
        Account::Add(add) => accounts::add(session, &director, add).await,
        Account::List => accounts::list(session, &director).await,
        Account::Show(show) => accounts::show(session, &director, &show.account).await,
        Account::Check(check) => accounts::check(session, &director, check).await,
        Account::Edit(edit) => accounts::edit(session, &director, edit).await,
        Account::Remove(remove) => accounts::remove(session, &director, &remove.account).await,
    }
}

async fn director(session: &Arc<Session>, command: &Director) -> Result<Exit> {
    let director = run::director(session).await?;
    match command {
        Director::Run => run::serve(session, &director).await,
        Director::Journal(journal) => director::journal(session, &director, journal).await,
        Director::Forget(forget) => director::forget(session, forget).await,
        Director::Restore(restore) => director::restore(session, &director, restore).await,
    }
}
