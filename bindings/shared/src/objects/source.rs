//! Sources: what is backed up, and where recoveries go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use nakivo_core::backup;
use nakivo_core::connector::Connector;
use nakivo_core::folder::FolderConnector;
use nakivo_graph_connector::{AccountConfig, M365Connector, Secret, Service};

use super::repository::environment;
use super::{BackupRun, Repository};
use crate::NakivoError;
use crate::types::{AccountOptions, BackupOptions, Discovered, ObjectInfo, PermissionCheck, To as _};

/// Something that is backed up, and that recoveries go to: an organisation, or a folder of this machine.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Source(Kind);

enum Kind {
    M365(Arc<M365Connector>),
    Folder(Arc<FolderConnector>),
}

impl Source {
    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        match &self.0 {
            Kind::M365(connector) => Arc::clone(connector) as Arc<dyn Connector>,
            Kind::Folder(connector) => Arc::clone(connector) as Arc<dyn Connector>,
        }
    }

    pub(crate) fn organisation(config: AccountConfig, services: &[String]) -> Result<Arc<Self>, NakivoError> {
        let services: Result<Vec<Service>, _> = services.iter().map(|word| word.parse()).collect();
        let connector = M365Connector::for_services(config, &services?, &environment(None))?;
        Ok(Arc::new(Self(Kind::M365(Arc::new(connector)))))
    }
}

/// What says how to sign in.
fn account(options: AccountOptions) -> Result<AccountConfig, NakivoError> {
    let AccountOptions {
        account_file,
        directory_id,
        app_id,
        client_secret,
        certificate_file,
        private_key_file,
        graph_url,
        login_url,
        services: _,
    } = options;
    let missing = |field: &str| NakivoError::unfit(field, "it is missing, and no account_file is given");
    let given = [
        &directory_id,
        &app_id,
        &client_secret,
        &certificate_file,
        &private_key_file,
        &graph_url,
        &login_url,
    ];
    if let Some(file) = account_file {
        if given.into_iter().any(Option::is_some) {
            return Err(NakivoError::unfit(
                "account_file",
                "nothing else but services may be given beside it",
            ));
        }
        let hint = "See the page on connecting an organisation for what an account file holds.";
        return Ok(AccountConfig::read(Path::new(&file), hint)?.value);
    }
    let directory = directory_id.ok_or_else(|| missing("directory_id"))?;
    let app = app_id.ok_or_else(|| missing("app_id"))?;
    let mut config = match (client_secret, certificate_file, private_key_file) {
        (Some(secret), None, None) => AccountConfig::with_secret(directory, app, Secret::new(secret)),
        (None, Some(certificate), Some(key)) => {
            AccountConfig::with_certificate(directory, app, PathBuf::from(certificate), PathBuf::from(key))
        }
        _ => {
            return Err(NakivoError::unfit(
                "client_secret",
                "either it or certificate_file with private_key_file is to be given",
            ));
        }
    };
    if let Some(url) = graph_url {
        config.graph_url = url;
    }
    if let Some(url) = login_url {
        config.login_url = url;
    }
    Ok(config)
}

class! {
    /// Something that is backed up, and that recoveries go to: an organisation, or a folder of this machine.
    Source
    constructors {
        /// A folder of this machine, to be known as `name`. The name makes its identity, not the path.
        fn folder(path: String, name: String) {
            Ok(Arc::new(Self(Kind::Folder(Arc::new(FolderConnector::new(path, &name)?)))))
        }

        /// An organisation of Microsoft 365. Asks no service yet.
        fn m365(options: AccountOptions) {
            let services = options.services.clone();
            Self::organisation(account(options)?, &services)
        }
    }
    methods {
        /// Everything that can be protected, as far as the credential reaches.
        fn objects(&self) -> Discovered {
            let connector = self.connector();
            let mut found = Discovered { objects: Vec::new(), left_out: Vec::new() };
            let mut objects = connector.discover();
            while let Some(object) = objects.next().await {
                match object {
                    Ok(object) => found.objects.push(object.to()),
                    // It comes after everything that was found, and says what may not be read.
                    Err(error) if error.kind() == nakivo_core::ErrorKind::PermissionMissing && !found.objects.is_empty() => {
                        found.left_out.push(error.to_string());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(found)
        }

        /// The object with this address, name or id.
        fn object(&self, name: String) -> ObjectInfo {
            Ok(self.connector().find_object(&name).await?.to())
        }

        /// Tries what each service needs. Empty for a folder.
        fn check_permissions(&self) -> Vec<PermissionCheck> {
            Ok(match &self.0 {
                Kind::M365(connector) => connector.check_permissions().await?.to(),
                Kind::Folder(_) => Vec::new(),
            })
        }

        /// Backs an object up. An item that cannot be read does not end the run: the report says `partial` and names it.
        fn backup(&self, repository: Arc<Repository>, object: String, options: BackupOptions) -> Arc<BackupRun> {
            let connector = self.connector();
            let object = connector.find_object(&object).await?;
            let options = backup::BackupOptions::default().with_fail_fast(options.fail_fast);
            Ok(BackupRun::of(backup::start(&repository.0, connector, object, options)))
        }
    }
}
