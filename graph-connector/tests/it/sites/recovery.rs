//! The way back: to the site itself, to another one, from and to drives; Office files that the service rewrites.

use std::time::Duration;

use nakivo_core::backup::Outcome;
use nakivo_core::connector::OnConflict;
use nakivo_core::recovery::{ItemOutcome, Selection, Target};
use nakivo_core::seams::Clock;

use super::lab::{Lab, clear, files};
use crate::lab::Truth;

#[tokio::test]
async fn a_whole_site_comes_back_and_a_second_recovery_finds_it() {
    let lab = Lab::new(50).await;
    lab.bench
        .emulator
        .set(|settings| settings.rewrite_office_files = false);
    let before = files(&lab.site);
    lab.back_up_and_compare().await;
    clear(&lab.site);
    lab.site.delete_library("Contracts").unwrap();
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    assert_eq!(
        files(&lab.site),
        before,
        "content and times, in libraries of the same names"
    );
    for item in &report.items {
        let ItemOutcome::Recovered(recovered) = &item.outcome else {
            panic!("{item:?}")
        };
        assert_eq!(recovered.location, item.path);
        assert_eq!(recovered.not_carried, Vec::<String>::new());
    }
    let writes = lab.bench.emulator.requests().writes().len();
    let again = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(again.counts.skipped as usize, before.len());
    assert_eq!(lab.bench.emulator.requests().writes().len(), writes);
}

#[tokio::test]
async fn to_another_site_and_between_sites_and_drives() {
    let lab = Lab::new(25).await;
    lab.bench
        .emulator
        .set(|settings| settings.rewrite_office_files = false);
    lab.back_up_and_compare().await;
    let other = lab.bench.emulator.add_site("other", "Other");
    let target = lab.connector.find_object(&other.url()).await.unwrap();
    let report = lab
        .recover(Selection::All, Target::Object(target), OnConflict::Skip)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    assert_eq!(files(&other), files(&lab.site));
    // Into a drive: a library is a folder there.
    let user = lab.bench.emulator.mailboxes()[0].address().to_owned();
    let drive = lab.bench.emulator.add_drive(&user).unwrap();
    let target = lab
        .connector
        .find_object(&format!("onedrive:{user}"))
        .await
        .unwrap();
    let report = lab
        .recover(Selection::All, Target::Object(target), OnConflict::Skip)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    for (path, (content, ..)) in files(&lab.site) {
        assert_eq!(drive.content(&path).unwrap(), content, "{path}");
    }
}

#[tokio::test]
async fn office_files_that_the_service_rewrites_are_recovered_and_it_is_said() {
    let lab = Lab::new(0).await;
    let library = lab.site.library("Documents").unwrap();
    library.add_file("Plan.docx", vec![7u8; 400_000]).unwrap();
    library.add_file("Plan.pdf", "a portable plan").unwrap();
    library.add_file("empty.xlsx", "").unwrap();
    lab.back_up_and_compare().await;
    clear(&lab.site);
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    assert_eq!(report.counts.recovered, 3);
    for item in &report.items {
        let ItemOutcome::Recovered(recovered) = &item.outcome else {
            panic!("{item:?}")
        };
        let said = recovered
            .not_carried
            .iter()
            .any(|line| line.contains("SharePoint wrote properties"));
        assert_eq!(said, item.path == "Documents/Plan.docx", "{recovered:?}");
    }
    let stored = library.content("Plan.docx").unwrap();
    assert!(stored.starts_with(&[7u8; 400_000]) && stored.len() > 400_000);
    // It is known again, whichever conflict rule is asked for.
    for rule in [OnConflict::Rename, OnConflict::Overwrite] {
        let again = lab.recover(Selection::All, Target::Original, rule).await;
        assert_eq!(again.counts.skipped, 3, "{:?}", again.items);
    }
    // What somebody changed is not: it gets the old content as a new version.
    lab.bench.clock.sleep(Duration::from_secs(2)).await;
    library.write("Plan.docx", "somebody wrote this").unwrap();
    let again = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(
        (again.counts.recovered, again.counts.skipped),
        (1, 2),
        "{:?}",
        again.items
    );
    assert_eq!(library.versions("Plan.docx").unwrap().len(), 3);
    // Other files that arrive changed are no recovery.
    library.delete("Plan.pdf").unwrap();
    lab.bench.emulator.faults().on_request("/drive-upload/", 1, {
        let library = library.clone();
        move || drop(library.add_file("Plan.pdf", "somebody else's"))
    });
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(report.counts.failed, 1, "{:?}", report.items);
    assert_eq!(library.content("Plan.pdf").unwrap(), "somebody else's");
}
