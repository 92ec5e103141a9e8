//! The Microsoft 365 connector: the port of the SDK, implemented over Graph.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use nakivo_core::Result;
use nakivo_core::connector::{
    Change, ChangesRequest, Connector, Fetched, ItemHead, ItemRef, Presence, RecoveryTarget, Usage,
};
use nakivo_core::format::manifest::{ObjectKind, ObjectRecord};
use nakivo_core::progress::Reporter;
use nakivo_core::seams::Environment;

use crate::account::AccountConfig;
use crate::discovery::{self, DiscoveredUser, PermissionCheck};
use crate::drives::{self, Memory, target::DriveTarget};
use crate::exchange::service::MailboxService;
use crate::exchange::target::MailboxTarget;
use crate::exchange::{self, scope_of};
use crate::executor::Executor;
use crate::governor::MAILBOX_SLOTS;
use crate::graph::Graph;
use crate::http::Http;
use crate::request::RequestBuilder;
use crate::sharepoint::{self, target::SiteTarget};
use crate::target::Targets;
use crate::token::TokenSource;

/// Name of the connector and start of every object id.
pub const CONNECTOR_NAME: &str = "m365";

/// Microsoft 365 as a source and a target.
#[derive(Debug)]
pub struct M365Connector {
    account: String,
    graph: Arc<Graph>,
    memory: Arc<Memory>,
    targets: Targets,
    /// What is read of mailboxes.
    services: Vec<MailboxService>,
    /// What is looked for.
    kinds: Vec<ObjectKind>,
}

impl M365Connector {
    /// A connector for one account. Reads the credential's files; asks no service yet.
    ///
    /// # Errors
    /// `InvalidInput` if a setting is outside what is allowed or a file cannot be read.
    pub fn new(config: &AccountConfig, http: Arc<dyn Http>, env: &Environment) -> Result<Self> {
        let account = config.resolve()?;
        let units = Some(config.onedrive_units_per_minute).filter(|units| *units > 0);
        let requests = RequestBuilder::new(&account.graph_url);
        let tokens = TokenSource::new(
            account,
            Arc::clone(&http),
            Arc::clone(&env.clock),
            Arc::clone(&env.rng),
        )?;
        let executor = Executor::new(http, tokens, Arc::clone(&env.clock), Arc::clone(&env.rng), units);
        let graph = Arc::new(Graph { executor, requests });
        let memory = Arc::new(Memory::default());
        Ok(Self {
            account: config.directory_id.to_ascii_lowercase(),
            services: config.mailbox_services.clone(),
            kinds: vec![ObjectKind::Mailbox, ObjectKind::Drive, ObjectKind::Site],
            targets: Targets {
                mailbox: MailboxTarget::new(&graph),
                drive: DriveTarget::new(Arc::clone(&graph), Arc::clone(&memory)),
                site: SiteTarget::new(
                    Arc::clone(&graph),
                    DriveTarget::new(Arc::clone(&graph), Arc::clone(&memory)),
                ),
            },
            graph,
            memory,
        })
    }

    /// Looks for objects of these kinds only; by default for mailboxes, drives and sites. What may not be read of other kinds is
    /// then no error of [`Connector::discover`].
    #[must_use]
    pub fn looking_for(mut self, kinds: impl IntoIterator<Item = ObjectKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Gets a token, so that a wrong credential shows at once.
    ///
    /// # Errors
    /// `Unauthorized` with what to correct; `Unavailable`.
    pub async fn sign_in(&self) -> Result<()> {
        self.graph.executor.sign_in().await
    }

    /// Every user of the directory, with what is known about the mailbox; also those who have none.
    pub fn users(&self) -> BoxStream<'_, Result<DiscoveredUser>> {
        discovery::discover(&self.graph, &self.account)
    }

    /// Which permissions the app has, and what does not work without the others. Changes nothing.
    ///
    /// # Errors
    /// `Unauthorized`, `Unavailable`: nothing could be found out.
    pub async fn check_permissions(&self) -> Result<Vec<PermissionCheck>> {
        discovery::check_permissions(&self.graph).await
    }
}

#[async_trait]
impl Connector for M365Connector {
    fn name(&self) -> &str {
        CONNECTOR_NAME
    }

    fn discover(&self) -> BoxStream<'_, Result<ObjectRecord>> {
        discovery::objects(&self.graph, &self.account, &self.kinds)
    }

    async fn find_object(&self, name: &str) -> Result<ObjectRecord> {
        discovery::find(&self.graph, &self.account, name).await
    }

    fn changes<'a>(
        &'a self,
        object: &'a ObjectRecord,
        request: ChangesRequest,
        reporter: &'a Reporter,
    ) -> BoxStream<'a, Result<Change>> {
        match object.kind {
            ObjectKind::Drive => drives::list::changes(&self.graph, &self.memory, object, request, reporter),
            ObjectKind::Site => {
                sharepoint::list::changes(&self.graph, &self.memory, object, request, reporter)
            }
            _ => exchange::list::changes(&self.graph, &self.services, object, request, reporter),
        }
    }

    async fn fetch(&self, object: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
        match object.kind {
            ObjectKind::Drive => {
                drives::fetch::fetch(&self.graph, &self.memory, &object.native_id, head).await
            }
            ObjectKind::Site => sharepoint::fetch::fetch(&self.graph, &self.memory, head).await,
            _ => exchange::fetch(&self.graph, object, head).await,
        }
    }

    async fn look_up(&self, object: &ObjectRecord, items: &[ItemRef]) -> Result<Vec<Presence>> {
        if object.kind == ObjectKind::Drive {
            return drives::lookup::look_up(&self.graph, &self.memory, &object.native_id, items).await;
        }
        if object.kind == ObjectKind::Site {
            return sharepoint::lookup::look_up(&self.graph, &self.memory, &object.native_id, items).await;
        }
        let scope = scope_of(object);
        exchange::lookup::look_up(&self.graph, &scope, &object.native_id, items).await
    }

    fn fetch_concurrency(&self) -> usize {
        MAILBOX_SLOTS as usize
    }

    fn usage(&self) -> Usage {
        self.graph.executor.usage()
    }

    fn recovery(&self) -> Option<&dyn RecoveryTarget> {
        Some(&self.targets)
    }
}
