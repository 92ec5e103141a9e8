//! Accounts: one place for what several jobs are read with.

use nakivo_core::ErrorKind;
use nakivo_core::director::scheduler::chain::Outcome;
use nakivo_core::director::scheduler::run::Scope;
use nakivo_core::director::{AccountEntry, AccountForm, JobForm, Source};
use nakivo_core::format::RepositoryId;
use nakivo_testkit::director::{Entries, World};
use nakivo_testkit::scenario::fill;

use super::{is, open};

fn job(repository: RepositoryId, name: &str, account: &AccountEntry) -> JobForm {
    let source = Source {
        connector: account.account.connector.clone(),
        location: String::new(),
        account: Some(account.id.clone()),
        objects: Vec::new(),
        services: Vec::new(),
    };
    JobForm::new(name, repository, vec![source])
}

#[tokio::test]
async fn a_job_is_read_with_its_account_as_that_is_when_the_run_begins() {
    let world = World::new(61).await;
    for name in ["a", "b"] {
        fill(&world.sources.source(name));
    }
    let director = open(&world).await;
    let account = director
        .add_account(AccountForm::new("Contoso", "scripted", "a"))
        .await
        .unwrap();
    let entry = director
        .add(job(world.repository, "Mail", &account))
        .await
        .unwrap();
    let record = director.run_now(&entry.id, Scope::All).wait().await.unwrap();
    assert_eq!(
        (record.outcome, record.objects[0].name.as_str()),
        (Outcome::Complete, "a@example.org")
    );

    let moved = |form: &mut AccountForm| form.location = "b".to_owned();
    director.edit_account(&account.id, moved).await.unwrap();
    let record = director.run_now(&entry.id, Scope::All).wait().await.unwrap();
    assert_eq!(record.objects[0].name, "b@example.org");

    // What cannot be read is named as people call it.
    let gone = |form: &mut AccountForm| form.location = "nowhere".to_owned();
    director.edit_account(&account.id, gone).await.unwrap();
    let record = director.run_now(&entry.id, Scope::All).wait().await.unwrap();
    assert_eq!(
        (record.outcome, record.objects[0].name.as_str()),
        (Outcome::Failed, "Contoso")
    );

    // It is journalled with the job, and comes back with it.
    let lost = world.elsewhere(62, Entries::new());
    let other = open(&lost).await;
    let repository = lost.lab.open().await.unwrap();
    let access = nakivo_core::registry::Access {
        url: "file:/backup/main".to_owned(),
        ..Default::default()
    };
    other.restore(&repository, access, None).await.unwrap();
    let accounts = director.accounts().await.unwrap();
    assert_eq!((accounts.len(), &other.accounts().await.unwrap()), (1, &accounts));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_an_account_in_use_stays() {
    let world = World::new(63).await;
    let director = open(&world).await;
    let account = director
        .add_account(AccountForm::new("Contoso", "scripted", "a"))
        .await
        .unwrap();
    let again = director
        .add_account(AccountForm::new("Contoso", "scripted", "b"))
        .await
        .unwrap_err();
    is(&again, ErrorKind::AlreadyExists, "Contoso");
    for (form, word) in [
        (AccountForm::new("", "scripted", "a"), "name: "),
        (AccountForm::new("X", "", "a"), "connector: "),
        (AccountForm::new("X", "scripted", "a\nb"), "location: "),
    ] {
        is(
            &director.add_account(form).await.unwrap_err(),
            ErrorKind::InvalidInput,
            word,
        );
    }
    let long = |form: &mut AccountForm| form.description = "x".repeat(1_001);
    let error = director.edit_account(&account.id, long).await.unwrap_err();
    is(&error, ErrorKind::InvalidInput, "description");

    director
        .add(job(world.repository, "Mail", &account))
        .await
        .unwrap();
    let error = director.remove_account(&account.id).await.unwrap_err();
    is(&error, ErrorKind::Conflict, "used by jobs: Mail");
    let mut both = job(world.repository, "Both", &account);
    both.sources[0].location = "a".to_owned();
    is(
        &director.add(both).await.unwrap_err(),
        ErrorKind::InvalidInput,
        "location: 'a'",
    );
    let mut other = job(world.repository, "Other", &account);
    other.sources[0].connector = "m365".to_owned();
    is(
        &director.add(other).await.unwrap_err(),
        ErrorKind::InvalidInput,
        "scripted",
    );
    let unused = director
        .add_account(AccountForm::new("Unused", "scripted", "b"))
        .await
        .unwrap();
    director.remove_account(&unused.id).await.unwrap();
    let gone = director
        .add(job(world.repository, "Gone", &unused))
        .await
        .unwrap_err();
    is(&gone, ErrorKind::NotFound, unused.id.as_str());
}
