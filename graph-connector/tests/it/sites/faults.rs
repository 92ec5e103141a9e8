//! What Graph does on bad days, at every request of a backup and of a recovery of a site.

use nakivo_graph_emulator::{Action, Emulator, Fault, LinkFault};

use super::lab::{Lab, clear, files};
use super::lists::lists;
use crate::bench::seed;
use crate::drives::faults::kinds;
use crate::lab::{Truth, while_writing};

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
    let clear = || {
        clear(&lab.site);
        let _ = lab.site.delete_library("Contracts");
    };
    let check = |what: &str| {
        let found = files(&lab.site);
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), expected, "{what}");
        assert_eq!(found["Contracts/b/two.txt"].0, "two");
        assert_eq!(lab.site.libraries().len(), 2, "{what}");
    };
    lab.recover_despite(&while_writing(), 5, clear, check).await;
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
