//! What the benchmarks of the bindings are compared with: the same calls from Rust.
//!
//! `overhead make URL FOLDER` backs a folder up, `overhead list URL` lists everything in its newest point, `overhead stream URL
//! PATH` reads the content of one item. The latter two print how many there were and the seconds it took, without opening.

#![allow(clippy::print_stdout, reason = "that is how it answers")]

use std::sync::Arc;

use nakivo_bindings::objects::{Point, Repository, Source};
use nakivo_bindings::types::{BackupOptions, CreateOptions, OpenOptions};
use nakivo_bindings::{NakivoError, runtime};
use nakivo_core::seams::{Clock as _, SystemClock};

/// What the folder is called in the repository.
const OBJECT: &str = "bench";

fn main() -> Result<(), NakivoError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    runtime::handle()?.block_on(async {
        match words.as_slice() {
            ["make", url, folder] => make(url, folder).await,
            ["list", url] => list(url).await,
            ["stream", url, path] => stream(url, path).await,
            _ => Err(NakivoError::invalid(
                "command",
                &words.join(" "),
                "make, list and stream",
            )),
        }
    })
}

async fn make(url: &str, folder: &str) -> Result<(), NakivoError> {
    let options = CreateOptions {
        unencrypted: true,
        ..CreateOptions::default()
    };
    let repository = Repository::create(url.to_owned(), options).await?;
    let source = Source::folder(folder.to_owned(), OBJECT.to_owned()).await?;
    let run = source
        .backup(repository, OBJECT.to_owned(), BackupOptions::default())
        .await?;
    let report = run.outcome().await?;
    println!("{} {} {}", report.outcome, report.items, report.bytes);
    Ok(())
}

async fn point(url: &str) -> Result<Arc<Point>, NakivoError> {
    let repository = Repository::open(url.to_owned(), OpenOptions::default()).await?;
    repository.point(OBJECT.to_owned(), "latest".to_owned()).await
}

async fn list(url: &str) -> Result<(), NakivoError> {
    let point = point(url).await?;
    let clock = SystemClock::new();
    let begun = clock.monotonic();
    let entries = point.find(String::new()).await?;
    let mut count = 0;
    loop {
        let page = entries.next(1000).await?;
        if page.is_empty() {
            break;
        }
        count += page.len();
    }
    println!("{count} {}", (clock.monotonic() - begun).as_secs_f64());
    Ok(())
}

async fn stream(url: &str, path: &str) -> Result<(), NakivoError> {
    let point = point(url).await?;
    let id = point.entry(path.to_owned()).await?.id;
    let clock = SystemClock::new();
    let begun = clock.monotonic();
    let content = point.content(id, None).await?;
    let mut count = 0;
    while let Some(piece) = content.next().await? {
        count += piece.len();
    }
    println!("{count} {}", (clock.monotonic() - begun).as_secs_f64());
    Ok(())
}
