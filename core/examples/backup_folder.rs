//! Backs up a folder twice, shows what changed, and exports the newest recovery point.
//!
//! Run: `cargo run -p nakivo-core --example backup_folder -- FOLDER EXPORT_TO`
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::path::PathBuf;
use std::sync::Arc;

use nakivo_core::backup::{self, BackupOptions};
use nakivo_core::connector::Connector;
use nakivo_core::folder::FolderConnector;
use nakivo_core::format::Passphrase;
use nakivo_core::recovery::{self, Destination, ExportOptions, Selection};
use nakivo_core::repository::{CreateOptions, PointSelector, Repository};
use nakivo_core::seams::Environment;
use nakivo_core::{Error, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = || Error::invalid("arguments", "too few", "FOLDER EXPORT_TO");
    let (folder, target) = (
        arguments.next().ok_or_else(usage)?,
        arguments.next().ok_or_else(usage)?,
    );

    // A repository in memory; `nakivo_core::store::StoreLocation` opens one on disk.
    let store = Arc::new(nakivo_core::object_store::memory::InMemory::new());
    let options = CreateOptions::encrypted(Passphrase::new("correct horse battery staple"));
    let repository = Repository::create(store, options, Environment::default()).await?;

    let source = Arc::new(FolderConnector::new(folder, "example")?);
    let object = source.object().clone();
    for _ in 0..2 {
        let connector: Arc<dyn Connector> = source.clone();
        let report = backup::start(&repository, connector, object.clone(), BackupOptions::default())
            .wait()
            .await?;
        println!(
            "point {}: {} items, {} stored, {} unchanged, {} bytes read, {} bytes written",
            report.point,
            report.items,
            report.counts.stored,
            report.counts.unchanged,
            report.written.bytes_read,
            report.written.bytes_stored
        );
    }

    let point = repository.point(&object.id, &PointSelector::Latest)?;
    let options = ExportOptions::new(Destination::Directory(target));
    let report = recovery::export(&repository, &point, Selection::All, options)
        .wait()
        .await?;
    println!("exported {} items", report.items);
    Ok(())
}
