//! Calls by name: those that wait for their answer, and those that deliver it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvError, RecvTimeoutError, sync_channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use nakivo_bindings::call::Answering;
use nakivo_bindings::error::Failure;
use nakivo_bindings::{Answer, Arguments, NakivoError, runtime};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyString};

use crate::handle::Handle;

/// How often somebody who waits looks for signals, such as that of Ctrl-C.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(100);

/// The thread that ends the interpreter, once it does. No other may want the interpreter from then on: it would be ended in the
/// middle of whatever it does, and the process with it.
static ENDING: OnceLock<ThreadId> = OnceLock::new();
/// How many threads are about to have the interpreter.
static ENTERING: AtomicUsize = AtomicUsize::new(0);

/// Whether this thread may have the interpreter. If so, it calls `entered` when it has it.
fn may_enter() -> bool {
    ENTERING.fetch_add(1, Ordering::SeqCst);
    let may = ENDING.get().is_none_or(|ender| *ender == thread::current().id());
    if !may {
        entered();
    }
    may
}

fn entered() {
    ENTERING.fetch_sub(1, Ordering::SeqCst);
}

/// What is called: an object, or a class by its name to make one.
#[derive(FromPyObject)]
pub(crate) enum Target {
    Object(Py<Handle>),
    Class(PyBackedStr),
}

/// Arguments: an object of JSON, and what JSON cannot say.
type Objects = Vec<(PyBackedStr, Py<Handle>)>;
type Contents = Vec<(PyBackedStr, PyBackedBytes)>;

fn answering(
    target: &Target,
    method: &str,
    data: &str,
    objects: Objects,
    contents: Contents,
) -> Result<Answering, NakivoError> {
    let mut arguments = Arguments::parse(data)?;
    for (name, handle) in objects {
        arguments = arguments.with_object(&name, handle.get().object()?);
    }
    for (name, content) in contents {
        arguments = arguments.with_bytes(&name, content.to_vec());
    }
    Ok(match target {
        Target::Object(handle) => handle.get().object()?.call(method, arguments),
        Target::Class(class) => nakivo_bindings::new(class, method, arguments),
    })
}

/// Calls a method, or a constructor, and waits for the answer: nothing, JSON, content or an object.
///
/// A signal whose handler raises ends the waiting, and gives the call up.
#[pyfunction]
pub(crate) fn call<'py>(
    py: Python<'py>,
    target: Target,
    method: &str,
    data: &str,
    objects: Objects,
    contents: Contents,
) -> PyResult<Bound<'py, PyAny>> {
    let answering =
        answering(&target, method, data, objects, contents).map_err(|error| raised(py, &error))?;
    let runtime = runtime::handle().map_err(|error| raised(py, &error))?;
    let (tell, mut told) = sync_channel(1);
    let task = runtime.spawn(async move {
        // Nobody listens any more after a signal.
        let _ = tell.send(answering.await);
    });
    loop {
        let answer = py.detach(move || {
            let answer = told.recv_timeout(BETWEEN_SIGNALS);
            while !may_enter() {
                // A daemon thread: the process ends without it.
                thread::park();
            }
            (told, answer)
        });
        entered();
        told = answer.0;
        match answer.1 {
            Ok(answer) => return given(py, answer),
            Err(RecvTimeoutError::Disconnected) => return given(py, Err(broken())),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(signal) = py.check_signals() {
                    task.abort();
                    runtime.spawn_blocking(move || ended(told.recv()));
                    return Err(signal);
                }
            }
        }
    }
}

/// Ends what a call that was given up began nevertheless.
fn ended(answer: Result<Result<Answer, NakivoError>, RecvError>) {
    if let (Ok(Ok(Answer::Object(run))), Ok(runtime)) = (answer, runtime::handle())
        && run.class().ends_with("Run")
    {
        // It fails only where there is nothing to cancel.
        let _ = runtime.block_on(run.call("cancel", Arguments::default()));
    }
}

/// A call whose answer will be delivered.
#[pyclass(frozen, module = "nakivo._native")]
pub(crate) struct Task(tokio::task::AbortHandle);

#[pymethods]
impl Task {
    /// Gives the call up. Its answer is then not delivered, unless that has begun.
    fn cancel(&self) {
        self.0.abort();
    }
}

/// As `call`, without waiting: `deliver(answer, error)` is called by another thread, with one of the two.
#[pyfunction]
pub(crate) fn start(
    py: Python<'_>,
    deliver: Py<PyAny>,
    target: Target,
    method: &str,
    data: &str,
    objects: Objects,
    contents: Contents,
) -> PyResult<Task> {
    if ENDING.get() == Some(&thread::current().id()) {
        // It would wait for ever. Other threads do that anyway, as the process ends without them.
        return Err(raised(
            py,
            &NakivoError::unfit("interpreter", "it is ending: nothing can be delivered"),
        ));
    }
    let answering =
        answering(&target, method, data, objects, contents).map_err(|error| raised(py, &error))?;
    let runtime = runtime::handle().map_err(|error| raised(py, &error))?;
    let work = runtime.spawn(answering);
    let task = Task(work.abort_handle());
    let blocking = runtime.clone();
    runtime.spawn(async move {
        let answer = match work.await {
            Ok(answer) => answer,
            Err(ended) if ended.is_cancelled() => return,
            Err(_) => Err(broken()),
        };
        // Waiting for the interpreter is no work for the threads that all calls share.
        blocking.spawn_blocking(move || delivered(&deliver, answer));
    });
    Ok(task)
}

/// Hands an answer over, unless the interpreter ends.
fn delivered(deliver: &Py<PyAny>, answer: Result<Answer, NakivoError>) {
    if !may_enter() {
        return;
    }
    Python::try_attach(|py| {
        let (answer, error) = match given(py, answer) {
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error)),
        };
        // It fails when the loop that waited is closed: then nobody waits.
        let _ = deliver.call1(py, (answer, error));
    });
    entered();
}

/// To be called when the interpreter is about to end: threads that are not about to have it will not have it any more.
#[pyfunction]
pub(crate) fn end() {
    // Said twice, it stays as it was.
    let _ = ENDING.set(thread::current().id());
}

/// How many threads are about to have the interpreter.
#[pyfunction]
pub(crate) fn entering() -> usize {
    ENTERING.load(Ordering::SeqCst)
}

/// To be called in a process that was just forked: the other threads are not there.
#[pyfunction]
pub(crate) fn after_fork() {
    ENTERING.store(0, Ordering::SeqCst);
}

/// An answer as Python has it.
fn given(py: Python<'_>, answer: Result<Answer, NakivoError>) -> PyResult<Bound<'_, PyAny>> {
    match answer.map_err(|error| raised(py, &error))? {
        Answer::Nothing => Ok(py.None().into_bound(py)),
        Answer::Json(text) => Ok(PyString::new(py, &text).into_any()),
        Answer::Bytes(bytes) => Ok(PyBytes::new(py, &bytes).into_any()),
        Answer::Object(object) => Ok(Bound::new(py, Handle::of(object))?.into_any()),
    }
}

/// The exception of an error: made by `nakivo._failure`.
fn raised(py: Python<'_>, error: &NakivoError) -> PyErr {
    let make = || {
        let failure = serde_json::to_string(error.failure()).unwrap_or_default();
        py.import("nakivo._failure")?
            .getattr("of_failure")?
            .call1((failure,))
    };
    make().map_or_else(|error| error, PyErr::from_value)
}

/// The error of a call that ended without an answer.
fn broken() -> NakivoError {
    let failure = Failure {
        code: "internal".to_owned(),
        reason: "the call ended without an answer".to_owned(),
        hint: Some("This is a defect: report it.".to_owned()),
        retry_after: None,
        retryable: false,
    };
    NakivoError::Internal { failure }
}
