//! Records of sources and of the emulator.

use nakivo_graph_connector as connector;
use nakivo_graph_emulator as emulator;

use super::{ObjectInfo, Timestamp, To};

options! {
    /// How to sign in to an organisation: an account file, or directory, application and one credential.
    AccountOptions {
        /// A file that says everything else.
        account_file: Option<String>,
        /// The GUID of the directory or one of its verified domains.
        directory_id: Option<String>,
        /// The id of the registered application.
        app_id: Option<String>,
        /// The credential: a client secret.
        client_secret: Option<String>,
        /// Instead of the secret: a file with a certificate, as PEM.
        certificate_file: Option<String>,
        /// With the certificate: a file with its private key, as PEM.
        private_key_file: Option<String>,
        /// Root of Microsoft Graph with its version. Default: that of the global cloud.
        graph_url: Option<String>,
        /// Root of the token service. Default: that of the global cloud.
        login_url: Option<String>,
        /// What is looked for and read: `mail`, `contacts`, `calendar`, `onedrive`, `sharepoint`. Default: all.
        services: Vec<String>,
    }
}

record! {
    /// What a source has.
    Discovered {
        /// What can be protected.
        objects: Vec<ObjectInfo>,
        /// Services that the account may not read, and why.
        left_out: Vec<String>,
    }
}

record! {
    /// A permission of an application.
    PermissionCheck {
        /// The application permission.
        permission: String,
        /// What does not work without it.
        blocks: String,
        /// Whether it was seen to work; none if it could not be tried.
        granted: Option<bool>,
        /// What was seen.
        message: String,
    }
}

impl To<PermissionCheck> for connector::PermissionCheck {
    fn to(self) -> PermissionCheck {
        PermissionCheck {
            permission: self.permission.to_owned(),
            blocks: self.blocks.to_owned(),
            granted: self.granted,
            message: self.message,
        }
    }
}

options! {
    /// What an emulated organisation has.
    EmulatorOptions {
        /// Chooses what it has. Default: 1.
        seed: Option<u64>,
        /// Users with a mailbox. Default: 3.
        users: Option<u32>,
        /// Messages of each. Default: 20.
        items_per_user: Option<u32>,
        /// Files in each user's drive, and in each site. Default: none, and no drives.
        files_per_user: Option<u32>,
        /// Sites. Default: none.
        sites: Option<u32>,
        /// A folder of `.eml` files that are spread over the mailboxes.
        mail_from: Option<String>,
        /// A folder of files that are put into the drives.
        files_from: Option<String>,
    }
}

record! {
    /// What a client of an emulator needs to connect, and who is there.
    EmulatorInfo from emulator::EmulatorInfo {
        /// Root of Microsoft Graph with its version.
        graph_url: String,
        /// Root of the token service.
        login_url: String,
        /// Id of the directory.
        directory_id: String,
        /// The organisation's domain.
        domain: String,
        /// Id of the registered application.
        app_id: String,
        /// Its secret.
        client_secret: String,
        /// Addresses of the mailboxes.
        mailboxes: Vec<String>,
        /// Addresses of the users with a drive.
        drives: Vec<String>,
        /// URLs of the sites.
        sites: Vec<String>,
        /// The seed.
        seed: u64,
    }
}

record! {
    /// A message of an emulated mailbox.
    MessageTruth {
        /// Its immutable id.
        id: String,
        /// Id of its folder.
        folder_id: String,
        /// Its subject.
        subject: String,
        /// When it was received.
        received: Timestamp,
        /// Whether it is read.
        is_read: bool,
        /// Number of its attachments.
        attachments: u64,
    }
}

impl To<MessageTruth> for emulator::MessageTruth {
    fn to(self) -> MessageTruth {
        MessageTruth {
            id: self.id,
            folder_id: self.folder_id,
            subject: self.subject,
            received: Timestamp::of_ms(self.received_ms),
            is_read: self.is_read,
            attachments: self.attachments.to(),
        }
    }
}
