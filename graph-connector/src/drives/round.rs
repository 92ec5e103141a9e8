//! The round of changes of a drive, a page at a time.

use super::map::{self, Element};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::pages::{Page, PageReader};
use crate::request::Operation;

/// How often one round may begin anew because the service forgot its state.
const MAX_RESETS: u32 = 5;

/// Where a round is.
pub(crate) struct Round<'a> {
    graph: &'a Graph,
    drive: &'a str,
    reader: PageReader,
    /// Next or delta link; none asks for everything.
    link: Option<String>,
    /// The link is the stored one, and nothing was read with it yet.
    stored: bool,
    resets: u32,
}

/// What one step brought.
pub(crate) enum Step {
    /// More follows.
    Elements(Vec<Element>),
    /// The last elements, and where the next round starts.
    Ended(Vec<Element>, String),
    /// The service lost its state: the enumeration begins anew, in full.
    Restarted,
}

impl<'a> Round<'a> {
    pub(crate) fn new(graph: &'a Graph, drive: &'a str, link: Option<String>) -> Self {
        Self {
            graph,
            drive,
            reader: PageReader::plain(&Scope::Files),
            stored: link.is_some(),
            link,
            resets: 0,
        }
    }

    /// Reads one page.
    pub(crate) async fn step(&mut self) -> Result<Step, Fault> {
        match self.page().await {
            Ok(page) => {
                self.stored = false;
                self.take(page)
            }
            Err(fault) => {
                // A stored link that is refused for any reason of its own is as good as a lost state.
                let lost =
                    fault.refused_as(|refusal| refusal.resync() || self.stored && refusal.status == 400);
                if !lost || self.resets >= MAX_RESETS {
                    return Err(fault);
                }
                tracing::info!(
                    drive = self.drive,
                    "the service lost the delta state: reading in full"
                );
                self.resets += 1;
                self.stored = false;
                self.reader = PageReader::plain(&Scope::Files);
                self.link = fault
                    .refusal()
                    .and_then(|refusal| refusal.location.clone())
                    .filter(|link| self.graph.is_ours(link));
                Ok(Step::Restarted)
            }
        }
    }

    async fn page(&mut self) -> Result<Page, Fault> {
        match self.link.clone() {
            Some(link) => self.reader.follow(self.graph, &link).await,
            None => {
                let first = self
                    .graph
                    .call(&Scope::Files, Operation::DriveDelta, &[self.drive], &[])?;
                self.reader.first(self.graph, first).await
            }
        }
    }

    fn take(&mut self, page: Page) -> Result<Step, Fault> {
        let mut elements = Vec::new();
        for raw in page.elements() {
            match map::element(raw) {
                // To go on would be to lose it silently.
                Element::Unusable => {
                    return Err(Fault::Protocol {
                        code: "element_without_id",
                        message: "an item of a delta page has no id or no parent".to_owned(),
                    });
                }
                element => elements.push(element),
            }
        }
        match (page.next, page.delta) {
            (Some(next), _) => {
                self.link = Some(next);
                Ok(Step::Elements(elements))
            }
            (None, Some(delta)) => {
                if !self.graph.is_ours(&delta) {
                    // Found out here rather than in the next run.
                    self.graph.follow(&Scope::Files, &delta)?;
                }
                Ok(Step::Ended(elements, delta))
            }
            (None, None) => Err(Fault::Protocol {
                code: "round_without_end",
                message: "a delta page has neither a next nor a delta link".to_owned(),
            }),
        }
    }
}
