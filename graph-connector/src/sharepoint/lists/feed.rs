//! Which rows of a list changed, a page at a time.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::Result;
use nakivo_core::connector::{Change, Cursor, ItemRef, Presence};
use nakivo_core::progress::Reporter;

use super::rows::{EXPAND, Element, RowReader};
use super::schema::List;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::pages::{Page, PageReader};
use crate::request::Operation;
use crate::sharepoint::{READ_PERMISSION, ids};

/// How often one round may begin anew because the service forgot its state.
const MAX_RESETS: u32 = 5;

/// What became of asking for a page.
enum Step {
    Page(Page),
    /// The service lost its state: all follows from this link, or from the beginning.
    Again(Option<String>),
    /// There is no delta for this list: all is listed each time.
    NoDelta,
}

struct Round<'a> {
    rows: &'a RowReader<'a>,
    list: &'a str,
    reader: PageReader,
    /// The link comes from an earlier run.
    stored: bool,
    plain: bool,
    resets: u32,
}

impl Round<'_> {
    async fn page(&mut self, link: Option<&str>) -> Result<Page, Fault> {
        let graph = self.rows.graph();
        if let Some(link) = link {
            return self.reader.follow(graph, link).await;
        }
        let operation = if self.plain {
            Operation::Rows
        } else {
            Operation::RowDelta
        };
        let ids = [self.rows.site(), self.list];
        let call = graph.call(&Scope::Files, operation, &ids, &EXPAND)?;
        self.reader.first(graph, call).await
    }

    async fn step(&mut self, link: Option<&str>) -> Result<Step, Fault> {
        let fault = match self.page(link).await {
            Ok(page) => {
                self.stored = false;
                return Ok(Step::Page(page));
            }
            Err(fault) => fault,
        };
        let refused = |status: u16| fault.refused_as(|refusal| refusal.status == status);
        if link.is_none() && !self.plain && (refused(400) || refused(501)) {
            self.plain = true;
            return Ok(Step::NoDelta);
        }
        let lost = fault.refused_as(|refusal| refusal.resync()) || self.stored && refused(400);
        if !lost || self.resets >= MAX_RESETS {
            return Err(fault);
        }
        self.resets += 1;
        self.stored = false;
        self.reader = PageReader::plain(&Scope::Files);
        let fresh = fault.refusal().and_then(|refusal| refusal.location.clone());
        Ok(Step::Again(fresh.filter(|link| self.rows.graph().is_ours(link))))
    }
}

fn protocol(code: &'static str, message: &str) -> Fault {
    Fault::Protocol {
        code,
        message: message.to_owned(),
    }
}

/// The changes of one list: its schema, then its rows since the link of `cursor`. The last one is the cursor.
pub(crate) fn feed<'a>(
    rows: &'a RowReader<'a>,
    list: &'a List,
    cursor: Option<Cursor>,
    retry: Vec<ItemRef>,
    reporter: &'a Reporter,
) -> BoxStream<'a, Result<Change>> {
    async_stream::try_stream! {
        let failed = |fault: Fault| {
            fault.into_error("reading the rows of the list", Some(READ_PERMISSION))
        };
        let prefix = list.prefix();
        reporter.check()?;
        let (schema, columns) = list.schema(rows.graph(), rows.site()).await.map_err(failed)?;
        let mut link = cursor
            .and_then(|cursor| String::from_utf8(cursor.0.to_vec()).ok())
            .filter(|link| rows.graph().is_ours(link));
        let mut round = Round {
            rows,
            list: &list.id,
            reader: PageReader::plain(&Scope::Files),
            stored: link.is_some(),
            plain: false,
            resets: 0,
        };
        let place = |number: u64| ItemRef {
            container: prefix.clone(),
            id: ids::join(&prefix, &number.to_string()),
        };
        let started = |full: bool| Change::RoundStarted { container: prefix.clone(), full };
        yield started(link.is_none());
        yield Change::Item(schema.clone());
        // Rows told before the service began anew, and not since.
        let mut outdated: HashSet<u64> = HashSet::new();
        let mut told: HashSet<u64> = HashSet::new();
        let mut retry: BTreeMap<String, ItemRef> =
            retry.into_iter().map(|item| (item.id.clone(), item)).collect();
        retry.remove(&schema.item.id);
        let end = loop {
            reporter.check()?;
            let page = match round.step(link.as_deref()).await.map_err(failed)? {
                Step::Page(page) => page,
                Step::NoDelta => continue,
                Step::Again(fresh) => {
                    link = fresh;
                    outdated.extend(told.drain());
                    yield started(true);
                    yield Change::Item(schema.clone());
                    continue;
                }
            };
            for raw in page.elements() {
                match rows.element(raw, &prefix, &columns).await.map_err(failed)? {
                    Some(Element::Row(head, number)) => {
                        retry.remove(&head.item.id);
                        outdated.remove(&number);
                        told.insert(number);
                        yield Change::Item(*head);
                    }
                    Some(Element::Deleted(number)) => yield Change::Vanished(place(number)),
                    // To go on would be to lose it silently.
                    None => Err(failed(protocol("element_without_id", "a row of a page has no id that can be used")))?,
                }
            }
            match (page.next, page.delta) {
                (Some(next), _) => link = Some(next),
                (None, Some(delta)) => {
                    // Found out here rather than in the next run.
                    rows.graph().follow(&Scope::Files, &delta).map_err(failed)?;
                    break delta;
                }
                (None, None) if round.plain => break String::new(),
                (None, None) => Err(failed(protocol(
                    "round_without_end",
                    "a delta page has neither a next nor a delta link",
                )))?,
            }
        };
        for number in outdated {
            yield Change::Vanished(place(number));
        }
        yield Change::RoundEnded { container: prefix.clone() };
        let again: Vec<ItemRef> = retry.into_values().collect();
        for (item, answer) in again.iter().zip(rows.look_up(&again).await?) {
            yield match answer {
                Presence::Present(head) => Change::Item(*head),
                Presence::Gone => Change::Vanished(item.clone()),
                Presence::Unknown(error) => Change::Failed {
                    path: list.name.clone(),
                    item: Some(item.clone()),
                    error,
                },
            };
        }
        yield Change::Cursor(Cursor(Bytes::from(end)));
    }
    .boxed()
}
