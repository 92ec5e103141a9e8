//! The delta round of one container, a page at a time.

use nakivo_core::connector::{Change, ItemHead, ItemRef};

use super::service::MailboxService;
use super::{calendar, contacts, mail, marks};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::pages::{Page, PageReader};
use crate::request::Operation;

/// How often one round may begin anew because the service forgot its state.
const MAX_RESETS: u32 = 3;

/// One element of a page.
#[derive(Debug)]
pub(crate) enum Element {
    /// An item. Without `raw` if the service sent only what changed: then the rest must be read.
    Item(Box<ItemHead>),
    /// The container does not show it any more.
    Removed(String),
    /// No id: cannot be used.
    Unusable,
}

/// How the containers of a service are read.
struct Feed {
    delta: Operation,
    container: Operation,
    query: &'static [(&'static str, &'static str)],
    /// The pages are a list, and no delta link comes after them: each round is full.
    list: bool,
    /// Reads an element of a page of the container of this id.
    element: fn(&str, &str) -> Element,
}

const fn feed(service: MailboxService) -> Feed {
    match service {
        MailboxService::Mail => Feed {
            delta: Operation::FolderMessagesDelta,
            container: Operation::MailFolder,
            query: &[],
            list: false,
            element: mail::map::element,
        },
        MailboxService::Contacts => Feed {
            delta: Operation::ContactsDelta,
            container: Operation::ContactFolder,
            query: &[],
            list: false,
            element: contacts::map::element,
        },
        MailboxService::Calendar => Feed {
            delta: Operation::CalendarEvents,
            container: Operation::Calendar,
            query: &[("$select", calendar::map::LISTED)],
            list: true,
            element: calendar::map::element,
        },
    }
}

/// Where a round is.
#[derive(Debug)]
pub(crate) struct Round<'a> {
    graph: &'a Graph,
    scope: Scope,
    user: &'a str,
    service: MailboxService,
    /// Its id as items name it.
    container: &'a str,
    /// Its id in Exchange.
    folder: &'a str,
    reader: PageReader,
    /// Next or delta link; none asks for everything.
    link: Option<String>,
    begun: bool,
    resets: u32,
}

/// What one step brought.
#[derive(Debug)]
pub(crate) enum Step {
    /// More follows.
    Changes(Vec<Change>),
    /// The last changes, and where the next round starts; none: at the beginning.
    Ended(Vec<Change>, Option<String>),
    /// The folder was deleted since it was listed.
    FolderGone,
}

impl<'a> Round<'a> {
    /// A round of `container`, from `link` if there is one.
    pub(crate) fn new(
        graph: &'a Graph,
        scope: &Scope,
        user: &'a str,
        container: &'a str,
        link: Option<String>,
    ) -> Self {
        let (service, folder) = MailboxService::of(container);
        Self {
            graph,
            scope: scope.clone(),
            user,
            service,
            container,
            folder,
            reader: PageReader::new(scope),
            link,
            begun: false,
            resets: 0,
        }
    }

    /// Reads one page. A state that the service has lost turns the round into a full one.
    pub(crate) async fn step(&mut self) -> Result<Step, Fault> {
        let mut changes = Vec::new();
        loop {
            if !self.begun {
                self.begun = true;
                changes.push(Change::RoundStarted {
                    container: self.container.to_owned(),
                    full: self.link.is_none(),
                });
            }
            match self.page().await {
                Ok(page) => {
                    let mut step = self.take(page, changes)?;
                    if let Step::Changes(changes) | Step::Ended(changes, _) = &mut step {
                        self.complete(changes).await?;
                    }
                    return Ok(step);
                }
                Err(fault) if fault.refused_as(|refusal| refusal.resync()) && self.resets < MAX_RESETS => {
                    tracing::info!(
                        folder = self.folder,
                        "the service lost the delta state: reading in full"
                    );
                    self.restart();
                }
                Err(fault) if fault.refused_as(|refusal| refusal.status == 404) => {
                    if self.folder_exists().await? {
                        // The state is gone and the folder is not: as good as a lost state.
                        if self.resets >= MAX_RESETS {
                            return Err(fault);
                        }
                        self.restart();
                    } else {
                        return Ok(Step::FolderGone);
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Adds to the heads what the pages do not tell.
    async fn complete(&self, changes: &mut [Change]) -> Result<(), Fault> {
        marks::mark(self.graph, &self.scope, self.user, marks::changed(changes)).await
    }

    fn restart(&mut self) {
        self.resets += 1;
        self.link = None;
        self.begun = false;
        self.reader = PageReader::new(&self.scope);
    }

    async fn page(&mut self) -> Result<Page, Fault> {
        match self.link.clone() {
            Some(link) => self.reader.follow(self.graph, &link).await,
            None => {
                let ids = [self.user, self.folder];
                let first = self.graph.call(
                    &self.scope,
                    feed(self.service).delta,
                    &ids,
                    feed(self.service).query,
                )?;
                self.reader.first(self.graph, first).await
            }
        }
    }

    fn take(&mut self, page: Page, mut changes: Vec<Change>) -> Result<Step, Fault> {
        for raw in page.elements() {
            match (feed(self.service).element)(raw, self.container) {
                Element::Item(head) => changes.push(Change::Item(*head)),
                Element::Removed(id) => {
                    changes.push(Change::Vanished(ItemRef {
                        container: self.container.to_owned(),
                        id,
                    }));
                }
                // To go on would be to lose it silently: the folder fails and is read again in the next run.
                Element::Unusable => {
                    return Err(Fault::Protocol {
                        code: "element_without_id",
                        message: "an element of a delta page has no id".to_owned(),
                    });
                }
            }
        }
        match (page.next, page.delta) {
            (Some(next), _) => {
                self.link = Some(next);
                Ok(Step::Changes(changes))
            }
            (None, Some(delta)) => {
                if !self.graph.is_ours(&delta) {
                    // Found out here rather than in the next run.
                    self.graph.follow(&self.scope, &delta)?;
                }
                changes.push(Change::RoundEnded {
                    container: self.container.to_owned(),
                });
                Ok(Step::Ended(changes, Some(delta)))
            }
            (None, None) if feed(self.service).list => {
                changes.push(Change::RoundEnded {
                    container: self.container.to_owned(),
                });
                Ok(Step::Ended(changes, None))
            }
            (None, None) => Err(Fault::Protocol {
                code: "round_without_end",
                message: "a delta page has neither a next nor a delta link".to_owned(),
            }),
        }
    }

    async fn folder_exists(&self) -> Result<bool, Fault> {
        let ids = [self.user, self.folder];
        let call = self.graph.call(
            &self.scope,
            feed(self.service).container,
            &ids,
            &[("$select", "id")],
        )?;
        match self.graph.executor.json(&call).await {
            Ok(_) => Ok(true),
            Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}
