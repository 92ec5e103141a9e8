//! The `nakivo` command: parses the command line, calls one verb of the SDK, renders what it returns.
//!
//! Data go to standard output, messages and progress to standard error. No backup logic lives here.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use clap::error::ErrorKind as ClapErrorKind;
use nakivo_core::ErrorKind;

use crate::exit::Exit;
use crate::grammar::{CommandLine, ProgressMode};
use crate::output::Output;
use crate::session::Session;

mod command;
mod demo;
mod exit;
mod grammar;
mod output;
mod passphrase;
mod session;
mod store;
mod table;
mod text;
mod watch;

/// Threads for blocking work at most. The allocator keeps memory apart for each thread, so many of them take much of it.
const BLOCKING_THREADS: usize = 16;

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return not_understood(&error).into(),
    };
    let output = Output::new(line.global.json, line.global.quiet, line.global.progress);
    // Work that computes or blocks on files is bounded by the SDK; more threads would only hold more memory.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            output.failure("internal", &format!("starting the runtime: {error}"), None, None);
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(async {
        let session = Arc::new(Session::new(&line.global, output));
        session.watch_signals();
        match Box::pin(command::run(&session, &line.command)).await {
            Ok(exit) => exit,
            Err(error) => {
                session.output.error(&error);
                Exit::of(&error)
            }
        }
    });
    // Blocking work that nobody waits for any more (a read from a stuck disk) must not hold the process.
    runtime.shutdown_background();
    exit.into()
}

/// Help and version are answers; anything else is a usage error, as JSON too if that was asked for.
fn not_understood(error: &clap::Error) -> Exit {
    if matches!(
        error.kind(),
        ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion
    ) {
        // Whoever closed standard output does not want the help.
        let _ = error.print();
        return Exit::Ok;
    }
    let json = std::env::args_os()
        .skip(1)
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json");
    if !json {
        let _ = error.print();
        return Exit::Usage;
    }
    let rendered = error.render().to_string();
    let message = rendered
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .trim_end_matches(':');
    let details: Vec<&str> = rendered
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with("Usage"))
        .map(str::trim)
        .collect();
    let message = [message]
        .into_iter()
        .chain(details)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let output = Output::new(true, true, ProgressMode::None);
    output.failure(
        ErrorKind::InvalidInput.code(),
        &message,
        Some("Run the command with --help."),
        None,
    );
    Exit::Usage
}
