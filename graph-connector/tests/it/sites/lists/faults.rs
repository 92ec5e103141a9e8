//! What Graph does on bad days while lists are recovered.

use nakivo_core::connector::OnConflict;
use nakivo_graph_emulator::{Action, Damage};

use super::super::lab::Lab;
use super::lists;
use crate::drives::faults::kinds;
use crate::lab::{Truth, places, stride};

/// Every passing fault at every request of a recovery of lists: the same rows, each once.
#[tokio::test]
async fn every_fault_at_every_request_of_a_recovery_of_lists() {
    let lab = Lab::new(0).await;
    lists(&lab.site, 3);
    lab.back_up_and_compare().await;
    let kinds = [
        kinds()[0].clone(),
        kinds()[2].clone(),
        Action::AfterSuccess { status: 500 },
        Action::ResetAfterSuccess,
        Action::Reset,
        Action::Damage(Damage::CutAt(10)),
    ];
    let (mut requests, mut runs) = (0, 0);
    for (number, kind) in [None].into_iter().chain(kinds.into_iter().map(Some)).enumerate() {
        let places: Vec<u64> = match kind {
            None => vec![0],
            Some(_) => places(requests, number, stride(7)).collect(),
        };
        for n in places {
            for name in lab.site.lists() {
                lab.site.delete_list(&name);
            }
            lab.bench.emulator.faults().clear();
            lab.bench.emulator.requests().clear();
            if let Some(kind) = &kind {
                lab.bench.break_request(kind, n);
            }
            lab.recover_anew(OnConflict::Rename, &format!("{kind:?} at {n}"))
                .await;
            let books = lab.site.list("Books").rows().unwrap();
            let loans = lab.site.list("A Loan").rows().unwrap();
            assert_eq!((books.len(), loans.len()), (3, 3), "{kind:?} at {n}");
            for (_, loan) in &loans {
                let known = books.iter().any(|(id, _)| loan["BookLookupId"] == id.as_str());
                assert!(known, "{kind:?} at {n}: {loan}");
            }
            if kind.is_none() {
                requests = lab.bench.emulator.requests().count();
            }
            runs += 1;
        }
    }
    println!("{runs} recoveries of lists with {requests} requests");
}
