//! The runtime that calls from Python and Node run on: one for each process, started by the first call.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::NakivoError;

/// The runtime and the process that it belongs to: in a child made by `fork` its threads are not there.
static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

/// The runtime of this process. Importing a module starts nothing; the first call does.
///
/// # Errors
/// `unavailable` if the system gives no threads.
pub fn handle() -> Result<Handle, NakivoError> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let here = std::process::id();
    if let Some((process, runtime)) = &*runtime
        && *process == here
    {
        return Ok(runtime.handle().clone());
    }
    let built = Builder::new_multi_thread()
        .enable_all()
        .thread_name("nakivo")
        .build()
        .map_err(|error| {
            nakivo_core::Error::new(nakivo_core::ErrorKind::Unavailable, format!("threads: {error}"))
        })?;
    // It lives as long as the process. The one of the parent cannot even be dropped: its threads are not here to be joined.
    let built: &'static Runtime = Box::leak(Box::new(built));
    *runtime = Some((here, built));
    Ok(built.handle().clone())
}
