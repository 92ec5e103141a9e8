//! The emulator of Microsoft Graph, for tests of whoever embeds this.

use std::sync::Arc;

use nakivo_graph_connector::{AccountConfig, Secret};
use nakivo_graph_emulator as emulator;
use tokio::sync::RwLock;

use super::Source;
use crate::NakivoError;
use crate::types::{EmulatorInfo, EmulatorOptions, MessageTruth, To as _};

/// An organisation that is not there: an emulator of Microsoft Graph on this machine's loopback, for tests.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Emulator(RwLock<Option<emulator::Emulator>>);

impl From<emulator::Error> for NakivoError {
    fn from(error: emulator::Error) -> Self {
        let kind = match &error {
            emulator::Error::NoMailbox(_) | emulator::Error::NotFound(_) => nakivo_core::ErrorKind::NotFound,
            emulator::Error::Refused(_) => nakivo_core::ErrorKind::InvalidInput,
            _ => nakivo_core::ErrorKind::Unavailable,
        };
        nakivo_core::Error::new(kind, error.to_string()).into()
    }
}

impl Emulator {
    /// Does something with it while it runs.
    async fn with<T>(
        &self,
        work: impl FnOnce(&emulator::Emulator) -> Result<T, emulator::Error>,
    ) -> Result<T, NakivoError> {
        match &*self.0.read().await {
            Some(running) => Ok(work(running)?),
            None => Err(NakivoError::closed("Emulator")),
        }
    }
}

class! {
    /// An organisation that is not there: an emulator of Microsoft Graph on this machine's loopback, for tests.
    Emulator
    constructors {
        /// Starts one. The same options make the same organisation.
        fn start(options: EmulatorOptions) {
            let EmulatorOptions { seed, users, items_per_user, files_per_user, sites, mail_from, files_from } = options;
            let mut builder = emulator::Emulator::builder()
                .seed(seed.unwrap_or(1))
                .users(users.unwrap_or(3) as usize)
                .items_per_user(items_per_user.unwrap_or(20))
                .files_per_user(files_per_user.unwrap_or(0))
                .sites(sites.unwrap_or(0), files_per_user.unwrap_or(0));
            if let Some(path) = mail_from {
                builder = builder.mail_from(path);
            }
            if let Some(path) = files_from {
                builder = builder.files_from(path);
            }
            Ok(Arc::new(Self(RwLock::new(Some(builder.start().await?)))))
        }
    }
    methods {
        /// What a client needs to connect, and who is there.
        fn info(&self) -> EmulatorInfo {
            self.with(|running| Ok(running.describe().to())).await
        }

        /// The emulated organisation as a source of these services; none: of all.
        fn source(&self, services: Vec<String>) -> Arc<Source> {
            let info = self.with(|running| Ok(running.describe())).await?;
            let config = AccountConfig::with_secret(info.directory_id, info.app_id, Secret::new(info.client_secret))
                .with_urls(info.graph_url, info.login_url);
            Source::organisation(config, &services)
        }

        /// Puts a message into a folder of a mailbox, and says its id. `folder` is a well-known name such as `inbox`, or an id.
        fn add_message(&self, mailbox: String, folder: String, mime: Vec<u8>) -> String {
            self.with(|running| running.mailbox(&mailbox)?.add_message(&folder, mime)).await
        }

        /// Moves a message to the deleted items.
        fn delete_message(&self, mailbox: String, id: String) {
            self.with(|running| running.mailbox(&mailbox)?.delete_message(&id)).await
        }

        /// Deletes a message for good.
        fn purge_message(&self, mailbox: String, id: String) {
            self.with(|running| running.mailbox(&mailbox)?.purge_message(&id)).await
        }

        /// Makes a message unreadable, or readable again.
        fn corrupt_message(&self, mailbox: String, id: String, corrupt: bool) {
            self.with(|running| running.mailbox(&mailbox)?.corrupt_message(&id, corrupt)).await
        }

        /// Every message of a mailbox, as it is.
        fn messages(&self, mailbox: String) -> Vec<MessageTruth> {
            self.with(|running| Ok(running.mailbox(&mailbox)?.messages()?.to())).await
        }

        /// A message as MIME.
        fn mime(&self, mailbox: String, id: String) -> Option<Vec<u8>> {
            self.with(|running| Ok(Some(running.mailbox(&mailbox)?.mime(&id)?.to_vec()))).await
        }

        /// Puts a file into a user's drive, and says its id. Folders on the way are made.
        fn add_file(&self, user: String, path: String, content: Vec<u8>) -> String {
            self.with(|running| running.drive(&user)?.add_file(&path, content)).await
        }

        /// Refuses the next `count` requests with 429 and a time to wait in seconds.
        fn throttle_next(&self, count: u64, retry_after: u64) {
            self.with(|running| {
                running.faults().throttle_next(count, retry_after);
                Ok(())
            })
            .await
        }

        /// Fails the `nth` request from now, counted from 1, with this status.
        fn fail_at(&self, nth: u64, status: u16) {
            self.with(|running| {
                running.faults().fail_at(nth, status);
                Ok(())
            })
            .await
        }

        /// Takes all faults back.
        fn clear_faults(&self) {
            self.with(|running| {
                running.faults().clear();
                Ok(())
            })
            .await
        }

        /// How many requests of Microsoft Graph were answered.
        fn requests(&self) -> u64 {
            self.with(|running| Ok(running.requests().counters().total)).await
        }

        /// Stops it. Calls on it fail from then on.
        fn stop(&self) {
            if let Some(running) = self.0.write().await.take() {
                running.stop();
            }
            Ok(())
        }
    }
}
