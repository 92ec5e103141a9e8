//! One step of work in a process of its own, which kills or stops itself before a given store operation.
//!
//! `crash_child <step> <directory> <operation> [stop]`: works on the repository in `<directory>/repository`, with state in
//! `<directory>/state`; steps that read files read `<directory>/../files`. Before store operation number `<operation>`
//! (from 0) the process sends itself SIGKILL, or SIGSTOP. The step `store-calls` makes one change of each kind in a store, for
//! strace to look at. It prints the number of operations and exits with 0 if it gets to the end.

use std::path::PathBuf;
use std::process::ExitCode;

use nakivo_testkit::crash::{Interruption, Step, run, run_heal, run_keys};
use nakivo_testkit::disk::each_change;
use nakivo_testkit::keys::KeyStep;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [step, directory, operation, rest @ ..] = arguments.as_slice() else {
        return ExitCode::from(2);
    };
    let Ok(operation) = operation.parse() else {
        return ExitCode::from(2);
    };
    let interruption = match rest {
        [] => Interruption::Kill(operation),
        [stop] if stop == "stop" => Interruption::Stop(operation),
        _ => return ExitCode::from(2),
    };
    let directory = PathBuf::from(directory);
    let named = step.as_str();
    let key_step = KeyStep::ALL.into_iter().find(|known| known.name() == step);
    // One thread for everything that touches files: strace counts the calls of each thread apart, and only in a single
    // sequence does every one of them have a number.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return ExitCode::from(3);
    };
    let done = match (Step::parse(step), key_step) {
        _ if named == "store-calls" => runtime.block_on(each_change(&directory)).map(|()| 0),
        _ if named == "heal" => runtime.block_on(run_heal(&directory, Some(interruption))),
        (Some(step), _) => runtime.block_on(run(step, &directory, Some(interruption))),
        (_, Some(step)) => runtime.block_on(run_keys(step, &directory, Some(interruption))),
        _ => return ExitCode::from(2),
    };
    match done {
        Ok(operations) => {
            nakivo_testkit::random::announce(&operations.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            nakivo_testkit::random::announce(&format!("{error:?}"));
            ExitCode::from(1)
        }
    }
}
