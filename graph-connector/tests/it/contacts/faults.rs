//! Every kind of passing fault at every request of a reference backup and of a reference recovery.

use nakivo_core::connector::OnConflict;
use nakivo_core::recovery::{Selection, Target};
use nakivo_graph_connector::MailboxService;
use nakivo_graph_emulator::{Action, Damage, Emulator, Fault, FaultBody};

use super::lab::Lab;
use crate::bench::seed;
use crate::drives::lab::new_repository;

fn kinds() -> Vec<Action> {
    let status = |status, body, retry_after: Option<&str>| Action::Status {
        status,
        body,
        retry_after: retry_after.map(str::to_owned),
    };
    vec![
        status(429, FaultBody::Envelope, Some("3")),
        status(503, FaultBody::Empty, Some("junk")),
        status(500, FaultBody::Envelope, None),
        status(502, FaultBody::Html, None),
        status(504, FaultBody::Empty, None),
        status(200, FaultBody::Html, None),
        status(401, FaultBody::Envelope, None),
        Action::Reset,
        Action::ResetAfterSuccess,
        Action::Damage(Damage::CutAt(0)),
        Action::Damage(Damage::CutAt(60)),
        Action::Damage(Damage::CutChunkedAt(37)),
    ]
}

async fn lab() -> Lab {
    let builder = Emulator::builder().seed(seed()).users(1).contacts_per_user(8);
    let mut lab = Lab::with(builder).await;
    lab.reads(&[MailboxService::Contacts]);
    lab
}

#[tokio::test]
async fn every_passing_fault_at_every_request_of_a_backup() {
    let mut lab = lab().await;
    lab.bench.emulator.requests().clear();
    lab.back_up_and_compare().await;
    let requests = lab.bench.emulator.requests().count();
    let mut runs = 0;
    for (number, kind) in kinds().into_iter().enumerate() {
        // Each request meets six kinds; with NAKIVO_FULL set, all of them.
        let stride = if std::env::var_os("NAKIVO_FULL").is_some() {
            1
        } else {
            2
        };
        for k in (1..=requests).filter(|k| (*k as usize + number).is_multiple_of(stride)) {
            lab.repository = new_repository(&lab.bench).await;
            lab.bench.emulator.faults().clear();
            let fault = Fault::new(kind.clone()).path("/v1.0/").at_request(k);
            lab.bench.emulator.faults().add(fault);
            let report = lab
                .back_up()
                .await
                .unwrap_or_else(|error| panic!("{kind:?} at {k}: {error:?}"));
            assert!(report.issues.is_empty(), "{kind:?} at {k}: {:?}", report.issues);
            lab.assert_truth().await;
            runs += 1;
        }
    }
    println!("{runs} backups, a fault at each of {requests} requests");
}

#[tokio::test]
async fn every_passing_fault_at_every_request_of_a_recovery() {
    let lab = lab().await;
    lab.back_up_and_compare().await;
    let before = lab.contacts.all().unwrap().len();
    let wipe = || {
        for one in lab.contacts.all().unwrap() {
            lab.contacts.delete(&one.id).unwrap();
        }
    };
    wipe();
    lab.bench.emulator.requests().clear();
    let all = || Selection::Paths(vec!["Contacts".to_owned()]);
    lab.recover(all(), Target::Original, OnConflict::Rename).await;
    let requests = lab.bench.emulator.requests().count();
    let (mut runs, mut listed) = (0, 0);
    // With NAKIVO_FULL set each request meets every kind.
    let stride = if std::env::var_os("NAKIVO_FULL").is_some() {
        1
    } else {
        24
    };
    for (number, kind) in kinds().into_iter().enumerate() {
        for k in (1..=requests).filter(|k| (*k as usize + 2 * number).is_multiple_of(stride)) {
            wipe();
            lab.bench.emulator.faults().clear();
            let fault = Fault::new(kind.clone()).path("/v1.0/").at_request(k);
            lab.bench.emulator.faults().add(fault);
            let report = lab.recover(all(), Target::Original, OnConflict::Rename).await;
            let counts = report.counts;
            assert_eq!(
                (counts.recovered + counts.failed) as usize,
                before,
                "{kind:?} at {k}"
            );
            listed += counts.failed;
            lab.bench.emulator.faults().clear();
            // What failed is listed, and the next try brings it, without doubles.
            lab.recover(all(), Target::Original, OnConflict::Rename).await;
            assert_eq!(
                lab.contacts.all().unwrap().len(),
                before,
                "{kind:?} at {k}: {:#?}",
                report.items
            );
            runs += 1;
        }
    }
    println!("{runs} recoveries, {requests} requests each; {listed} contacts failed at first");
}
