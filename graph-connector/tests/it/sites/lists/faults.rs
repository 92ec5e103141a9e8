//! What Graph does on bad days while lists are recovered.

use nakivo_core::backup::Outcome;
use nakivo_graph_emulator::{Action, Damage, Fault, FaultBody, LinkFault};

use serde_json::json;

use super::super::lab::Lab;
use super::{lists, row};
use crate::lab::{Truth, while_writing};

/// Every passing fault at every request of a recovery of lists: the same rows, each once.
#[tokio::test]
async fn every_fault_at_every_request_of_a_recovery_of_lists() {
    let lab = Lab::new(0).await;
    lists(&lab.site, 3);
    lab.back_up_and_compare().await;
    let kinds = [while_writing(), vec![Action::Damage(Damage::CutAt(10))]].concat();
    let clear = || {
        for name in lab.site.lists() {
            lab.site.delete_list(&name);
        }
    };
    let check = |what: &str| {
        let books = lab.site.list("Books").rows().unwrap();
        let loans = lab.site.list("A Loan").rows().unwrap();
        assert_eq!((books.len(), loans.len()), (3, 3), "{what}");
        for (_, loan) in &loans {
            let known = books.iter().any(|(id, _)| loan["BookLookupId"] == id.as_str());
            assert!(known, "{what}: {loan}");
        }
    };
    lab.recover_despite(&kinds, 7, clear, check).await;
}

/// A list whose pages cannot be trusted is left as it was, and the others go on.
#[tokio::test]
async fn links_and_pages_of_rows_that_make_no_sense_cost_their_list_alone() {
    let lab = Lab::new(2).await;
    let (books, loans) = lists(&lab.site, 5);
    lab.bench.emulator.set(|settings| settings.max_delta_page = 2);
    lab.back_up_and_compare().await;
    let page = |body: &str| Fault::status(200).body(FaultBody::Json(body.to_owned()));
    let link = |link| Fault::new(Action::Link(link));
    for (fault, code) in [
        (link(LinkFault::ForeignHost), "host_not_allowed"),
        (link(LinkFault::Loop), "link_loop"),
        (link(LinkFault::Huge), "link_too_long"),
        (page(r#"{"value": [{"eTag": "x"}]}"#), "element_without_id"),
        (page(r#"{"value": [{"id": "../1"}]}"#), "element_without_id"),
        (page(r#"{"value": []}"#), "round_without_end"),
        (page(r#"{"rows": []}"#), "no_collection"),
    ] {
        books.add_row(row(100)).unwrap();
        loans.add_row(json!({"Title": "new"})).unwrap();
        let before = lab.point().counts.items;
        let path = format!("/lists/{}/items/delta", books.id().unwrap());
        lab.bench.emulator.faults().add(fault.path(&path));
        let report = lab.back_up().await.unwrap();
        assert_eq!(report.outcome, Outcome::Partial, "{code}");
        assert_eq!(report.issues.len(), 1, "{code}: {:?}", report.issues);
        let issue = &report.issues[0];
        assert!(
            issue.path == "Books/" && issue.cause.message.contains(code),
            "{code}: {issue:?}"
        );
        assert!(
            lab.point().counts.items > before,
            "{code}: the other list goes on"
        );
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
