//! Collections that come in pages, and rounds that end in a delta link.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::executor::Call;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::{Graph, IMMUTABLE_IDS, PREFER};
use crate::json::Fields;

/// Items asked for in one page.
pub(crate) const PAGE_SIZE: u32 = 100;

/// One page, its elements verbatim.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    pub(crate) next: Option<String>,
    pub(crate) delta: Option<String>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
}

impl Page {
    /// Reads the links. An answer without `value` is no page.
    pub(crate) fn parse(text: String) -> Result<Self, Fault> {
        let fields = Fields::parse(&text).filter(|fields| fields.has("value"));
        let Some(fields) = fields else {
            return Err(Fault::Protocol {
                code: "no_collection",
                message: "the answer has no 'value'".to_owned(),
            });
        };
        let next = fields.text("@odata.nextLink");
        let delta = fields.text("@odata.deltaLink");
        if serde_json::from_str::<Vec<&RawValue>>(fields.raw("value").unwrap_or_default()).is_err() {
            return Err(Fault::Protocol {
                code: "no_collection",
                message: "'value' is not a list".to_owned(),
            });
        }
        Ok(Self { text, next, delta })
    }

    /// The elements' JSON texts.
    pub(crate) fn elements(&self) -> Vec<&str> {
        // A repeated key makes the strict form fail: the last one counts then.
        if let Ok(body) = serde_json::from_str::<Body<'_>>(&self.text) {
            return body.value.into_iter().map(RawValue::get).collect();
        }
        Fields::parse(&self.text)
            .and_then(|fields| fields.list("value"))
            .unwrap_or_default()
            .into_iter()
            .map(RawValue::get)
            .collect()
    }
}

/// Reads the pages of one Outlook collection, asking for less when a page is too much for the service or for us.
#[derive(Debug)]
pub(crate) struct PageReader {
    scope: Scope,
    size: u32,
    /// Outlook's preferences go along.
    outlook: bool,
    followed: HashSet<String>,
}

impl PageReader {
    pub(crate) fn new(scope: &Scope) -> Self {
        Self {
            scope: scope.clone(),
            size: PAGE_SIZE,
            outlook: true,
            followed: HashSet::new(),
        }
    }

    /// For collections outside Outlook, whose page size is in the query.
    pub(crate) fn plain(scope: &Scope) -> Self {
        Self {
            outlook: false,
            size: 1,
            ..Self::new(scope)
        }
    }

    /// The page that `first` asks for.
    pub(crate) async fn first(&mut self, graph: &Graph, first: Call) -> Result<Page, Fault> {
        self.followed.clear();
        self.read(graph, first).await
    }

    /// The page that a next or delta link leads to.
    pub(crate) async fn follow(&mut self, graph: &Graph, link: &str) -> Result<Page, Fault> {
        if !self.followed.insert(link.to_owned()) {
            return Err(Fault::Protocol {
                code: "link_loop",
                message: "a next link was given twice in one round".to_owned(),
            });
        }
        let call = graph.follow(&self.scope, link)?;
        self.read(graph, call).await
    }

    async fn read(&mut self, graph: &Graph, call: Call) -> Result<Page, Fault> {
        loop {
            let mut call = call.clone();
            if call.scope == Scope::Files {
                // A delta with a token is cheap; a first page costs what its operation says.
                call.units = call.units.max(1);
            }
            if self.outlook {
                call = call.header(
                    PREFER,
                    &format!("{IMMUTABLE_IDS}, odata.maxpagesize={}", self.size),
                );
            }
            call.shrinkable = self.size > 1;
            match graph.executor.json(&call).await {
                Ok(text) => return Page::parse(text),
                Err(fault) => {
                    let too_much = matches!(fault, Fault::TooLarge { .. })
                        || fault.refused_as(|refusal| refusal.status == 504);
                    if !too_much || self.size <= 1 {
                        return Err(fault);
                    }
                    self.size /= 2;
                }
            }
        }
    }
}

/// All elements of a collection that is known to be small, such as the folders of a mailbox.
pub(crate) async fn all(
    graph: &Graph,
    scope: &Scope,
    first: Call,
    limit: usize,
) -> Result<Vec<String>, Fault> {
    let mut reader = match scope {
        Scope::Mailbox(_) => PageReader::new(scope),
        _ => PageReader::plain(scope),
    };
    let mut page = reader.first(graph, first).await?;
    let mut out = Vec::new();
    loop {
        out.extend(page.elements().into_iter().map(str::to_owned));
        if out.len() > limit {
            return Err(Fault::Protocol {
                code: "collection_too_large",
                message: format!("a collection has more than {limit} elements"),
            });
        }
        match page.next {
            Some(link) => page = reader.follow(graph, &link).await?,
            None => return Ok(out),
        }
    }
}
