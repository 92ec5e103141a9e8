//! Every kind of passing fault at every request of a reference backup and of a reference recovery.

use nakivo_core::connector::OnConflict;
use nakivo_core::recovery::{Selection, Target};
use nakivo_graph_connector::MailboxService;
use nakivo_graph_emulator::{Action, Damage, Emulator, FaultBody};

use super::lab::Lab;
use crate::bench::seed;
use crate::lab::{Truth, places, status, stride};

fn kinds() -> Vec<Action> {
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
    // Each request meets six kinds; with NAKIVO_FULL set, all of them.
    lab.survive(&kinds(), 2).await;
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
    for (number, kind) in kinds().into_iter().enumerate() {
        // With NAKIVO_FULL set each request meets every kind.
        for k in places(requests, 2 * number, stride(24)) {
            wipe();
            lab.bench.break_request(&kind, k);
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
