//! What Graph does on bad days, at every request of a backup and of a recovery of a site.

use nakivo_core::connector::OnConflict;
use nakivo_graph_emulator::{Action, Emulator, Fault, LinkFault};

use super::lab::{Lab, clear, files};
use super::lists::lists;
use crate::bench::seed;
use crate::drives::faults::kinds;
use crate::lab::{Truth, places, stride};

#[tokio::test]
async fn every_passing_fault_at_every_request_of_a_backup() {
    let mut lab = Lab::with(Emulator::builder().seed(seed()).users(1).sites(1, 6)).await;
    lists(&lab.site, 5);
    lab.bench.emulator.set(|settings| settings.max_delta_page = 3);
    lab.survive(&kinds(), 7).await;
}

/// The same files, each once, whatever happens to one request; libraries, too.
#[tokio::test]
async fn every_fault_at_every_request_of_a_recovery() {
    let lab = Lab::with(Emulator::builder().seed(seed()).users(1).sites(1, 0)).await;
    lab.bench.emulator.set(|settings| settings.site_page = 1);
    let documents = lab.site.library("Documents").unwrap();
    let contracts = lab.site.library("Contracts").unwrap();
    documents.add_file("a/one.txt", "one").unwrap();
    documents.add_file("a/office.docx", vec![3u8; 700]).unwrap();
    contracts.add_file("b/two.txt", "two").unwrap();
    lab.back_up_and_compare().await;
    let expected: Vec<String> = files(&lab.site).into_keys().collect();
    let kinds = [
        kinds()[0].clone(),
        kinds()[2].clone(),
        Action::AfterSuccess { status: 500 },
        Action::ResetAfterSuccess,
        Action::Reset,
    ];
    let (mut requests, mut runs) = (0, 0);
    for (number, kind) in [None].into_iter().chain(kinds.into_iter().map(Some)).enumerate() {
        let places: Vec<u64> = match kind {
            None => vec![0],
            Some(_) => places(requests, number, stride(5)).collect(),
        };
        for n in places {
            clear(&lab.site);
            let _ = lab.site.delete_library("Contracts");
            lab.bench.emulator.faults().clear();
            lab.bench.emulator.requests().clear();
            if let Some(kind) = &kind {
                lab.bench.break_request(kind, n);
            }
            lab.recover_anew(OnConflict::Rename, &format!("{kind:?} at {n}"))
                .await;
            let found = files(&lab.site);
            assert_eq!(
                found.keys().cloned().collect::<Vec<_>>(),
                expected,
                "{kind:?} at {n}"
            );
            assert_eq!(found["Contracts/b/two.txt"].0, "two");
            assert_eq!(lab.site.libraries().len(), 2, "{kind:?} at {n}");
            if kind.is_none() {
                requests = lab.bench.emulator.requests().count();
            }
            runs += 1;
        }
    }
    println!("{runs} recoveries with {requests} requests");
}

#[tokio::test]
async fn links_of_collections_to_other_hosts_are_not_followed() {
    for link in [LinkFault::ForeignHost, LinkFault::Loop, LinkFault::Huge] {
        let lab = Lab::new(3).await;
        lab.bench.emulator.set(|settings| settings.site_page = 1);
        let fault = Fault::new(Action::Link(link)).path("/v1.0/sites");
        lab.bench.emulator.faults().add(fault);
        assert!(lab.back_up().await.is_err());
        let sent = lab
            .bench
            .emulator
            .requests()
            .matching(|record| record.target.contains("attacker"));
        assert!(sent.is_empty());
        lab.bench.emulator.faults().clear();
        lab.back_up_and_compare().await;
    }
}
