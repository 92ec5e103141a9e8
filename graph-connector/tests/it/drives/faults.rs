//! What Graph does on bad days, at every request of a first backup and of a second one.

use nakivo_core::ErrorKind;
use nakivo_graph_emulator::{Action, Damage, Emulator, Fault, LinkFault};

use super::lab::Lab;
use crate::bench::seed;
use crate::lab::{Truth, passing};

pub(crate) fn kinds() -> Vec<Action> {
    let damage = [Damage::ShortenTo(30), Damage::Append("more".into())];
    [passing(), damage.map(Action::Damage).to_vec()].concat()
}

#[tokio::test]
async fn every_passing_fault_at_every_request_is_survived() {
    let mut lab = Lab::with(Emulator::builder().seed(seed()).users(1).files_per_user(8)).await;
    lab.drive.add_made_file("large.docx", 5 << 20).unwrap();
    let other = lab.drive.address().to_owned();
    lab.drive.share("large.docx", &other, "read").unwrap();
    lab.survive(&kinds(), 5).await;
}

#[tokio::test]
async fn a_run_that_fails_in_the_middle_is_continued() {
    let lab = Lab::new(60).await;
    lab.bench.emulator.set(|settings| settings.max_delta_page = 20);
    lab.bench
        .emulator
        .faults()
        .add(Fault::status(403).code("accessDenied").path("delta").after(2));
    let error = lab.back_up().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionMissing, "{error:?}");
    assert!(
        lab.repository.objects().is_empty(),
        "no point before everything was read"
    );
    lab.bench.emulator.faults().clear();
    let report = lab.back_up_and_compare().await;
    assert!(report.counts.resumed > 0, "what was stored is not read again");
    // And an incremental run that fails has changed nothing.
    let id = lab
        .drive
        .items()
        .into_iter()
        .find(|item| !item.folder)
        .unwrap()
        .id;
    lab.drive.delete(&id).unwrap();
    let before = lab.held().await;
    lab.bench.emulator.faults().add(Fault::status(403).path("delta"));
    lab.back_up().await.unwrap_err();
    assert_eq!(lab.held().await, before);
    lab.bench.emulator.faults().clear();
    lab.back_up_and_compare().await;
}

#[tokio::test]
async fn retry_after_is_obeyed_by_all_drives() {
    let lab = Lab::new(30).await;
    // The first page: nothing else is under way.
    lab.bench.emulator.faults().add(
        Fault::status(429)
            .code("activityLimitReached")
            .retry_after(120)
            .path("delta")
            .at_request(1),
    );
    lab.back_up_and_compare().await;
    let counters = lab.bench.emulator.requests().counters();
    assert_eq!(counters.retry_after_violations, 0);
    assert!(lab.bench.clock.slept().as_secs() >= 120);
    // A download: those that are under way beside it cannot wait any more.
    lab.drive.add_generated(30);
    lab.bench.emulator.faults().add(
        Fault::status(503)
            .retry_after(30)
            .path("/personal/")
            .at_request(7),
    );
    lab.back_up_and_compare().await;
    let counters = lab.bench.emulator.requests().counters();
    assert!(
        counters.retry_after_violations <= 3,
        "{}",
        counters.retry_after_violations
    );
    assert_eq!(lab.connector.usage().throttled, 2);
}

#[tokio::test]
async fn links_to_other_hosts_loops_and_odd_redirects_are_not_followed() {
    for (link, code) in [
        (LinkFault::ForeignHost, "host_not_allowed"),
        (LinkFault::Loop, "link_loop"),
        (LinkFault::Huge, "link_too_long"),
    ] {
        let lab = Lab::new(450).await;
        lab.bench
            .emulator
            .faults()
            .add(Fault::new(Action::Link(link)).path("/delta"));
        let error = lab.back_up().await.unwrap_err();
        assert!(error.to_string().contains(code), "{error:?}");
        lab.bench.emulator.faults().clear();
        lab.back_up_and_compare().await;
    }
}

#[tokio::test]
async fn neither_tokens_nor_addresses_go_where_they_must_not() {
    let lab = Lab::new(20).await;
    lab.back_up_and_compare().await;
    let requests = lab.bench.emulator.requests();
    let stored = requests.matching(|record| record.target.starts_with("/personal/"));
    assert!(!stored.is_empty());
    assert!(
        stored.iter().all(|record| !record.authorized),
        "no token goes to the download host"
    );
    // The message of a failed download names no address.
    lab.drive.add_file("x.bin", vec![1u8; 100]).unwrap();
    lab.bench
        .emulator
        .faults()
        .add(Fault::new(Action::Reset).path("/personal/"));
    let report = lab.back_up().await.unwrap();
    assert_eq!(report.issues.len(), 1);
    let text = format!("{report:?}");
    assert!(!text.contains("tempauth"), "{text}");
}
