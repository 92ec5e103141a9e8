//! The native module of the package for Node: an object to hold, and calls by name. Its typed face is generated; no operation
//! of the API is named here.

mod exact;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use nakivo_bindings::call::Answering;
use nakivo_bindings::error::Failure;
use nakivo_bindings::{Answer, Arguments, Class, NakivoError, runtime};
use napi::bindgen_prelude::{ClassInstance, Either4, Null, Object, Uint8Array};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;
use tokio::sync::Notify;

/// What a promise is fulfilled with: nothing, JSON, content, or something to hold.
type Reply = Either4<Null, String, Uint8Array, Handle>;
type Settle = Box<dyn FnOnce(Env) -> Result<Reply> + Send>;

/// Something to hold and to call.
#[napi]
pub struct Handle {
    class: &'static str,
    object: RefCell<Option<Arc<dyn Class>>>,
}

/// Gives up the call that it is passed to.
#[napi]
#[derive(Default)]
pub struct Abort(Arc<Notify>);

#[napi]
impl Abort {
    /// One for one call.
    #[napi(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the call with the error `cancelled`.
    #[napi]
    pub fn abort(&self) {
        self.0.notify_one();
    }
}

#[napi]
impl Handle {
    /// Calls a method; a promise. `data` is JSON, an object of arguments by name.
    ///
    /// # Errors
    /// Of the engine only. The promise is rejected with an error whose message is a failure as JSON.
    #[napi]
    pub fn call<'env>(
        &self,
        env: &'env Env,
        method: String,
        data: String,
        objects: HashMap<String, ClassInstance<'_, Handle>>,
        bytes: HashMap<String, Uint8Array>,
        abort: Option<ClassInstance<'_, Abort>>,
    ) -> Result<Object<'env>> {
        let answering = self
            .held()
            .and_then(|held| Ok(held.call(&method, arguments(&data, &objects, &bytes)?)));
        promise(env, answering, abort)
    }

    /// Lets go of what is held. Calls fail from then on; those under way go on.
    #[napi]
    pub fn close(&self) {
        let held = self.object.borrow_mut().take();
        // Some of what is held has tasks and timers, which want their runtime when they go.
        let runtime = runtime::handle();
        let _inside = runtime.as_ref().map(|runtime| runtime.enter());
        drop(held);
    }
}

impl Handle {
    fn of(object: Arc<dyn Class>) -> Self {
        Self {
            class: object.class(),
            object: RefCell::new(Some(object)),
        }
    }

    fn held(&self) -> std::result::Result<Arc<dyn Class>, NakivoError> {
        let held = self.object.borrow().clone();
        held.ok_or_else(|| NakivoError::closed(self.class))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.class).finish_non_exhaustive()
    }
}

impl fmt::Debug for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Abort").finish_non_exhaustive()
    }
}

/// Makes an object of a class by one of its constructors; a promise of a `Handle`.
///
/// # Errors
/// As of [`Handle::call`].
#[napi(js_name = "construct")]
pub fn new<'env>(
    env: &'env Env,
    class: String,
    constructor: String,
    data: String,
    objects: HashMap<String, ClassInstance<'_, Handle>>,
    bytes: HashMap<String, Uint8Array>,
    abort: Option<ClassInstance<'_, Abort>>,
) -> Result<Object<'env>> {
    let answering = arguments(&data, &objects, &bytes)
        .map(|arguments| nakivo_bindings::new(&class, &constructor, arguments));
    promise(env, answering, abort)
}

fn arguments(
    data: &str,
    objects: &HashMap<String, ClassInstance<'_, Handle>>,
    bytes: &HashMap<String, Uint8Array>,
) -> std::result::Result<Arguments, NakivoError> {
    let mut arguments = Arguments::parse(data)?;
    for (name, object) in objects {
        arguments = arguments.with_object(name, object.held()?);
    }
    for (name, content) in bytes {
        // A copy: the caller may write into the array while the call goes on.
        arguments = arguments.with_bytes(name, Bytes::copy_from_slice(content));
    }
    Ok(arguments)
}

/// Has a call answered by the runtime. The promise is settled whatever becomes of the call.
fn promise<'env>(
    env: &'env Env,
    answering: std::result::Result<Answering, NakivoError>,
    abort: Option<ClassInstance<'_, Abort>>,
) -> Result<Object<'env>> {
    let (deferred, promise) = env.create_deferred::<Reply, Settle>()?;
    let abort = abort.map(|abort| Arc::clone(&abort.0));
    let started = answering.and_then(|answering| Ok((answering, runtime::handle()?)));
    let (answering, runtime) = match started {
        Ok(started) => started,
        Err(error) => {
            deferred.reject(thrown(error.failure()));
            return Ok(promise);
        }
    };
    runtime.spawn(async move {
        let aborted = async {
            match abort {
                Some(abort) => abort.notified().await,
                None => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            biased;
            answer = AssertUnwindSafe(answering).catch_unwind() => match answer {
                Ok(Ok(Answer::Json(text))) => Ok(Answer::Json(exact::quoted(text))),
                Ok(answer) => answer.map_err(|error| error.failure().clone()),
                Err(_) => Err(failure("internal", "the call panicked")),
            },
            () = aborted => Err(failure("cancelled", "the caller gave the call up")),
        };
        match answer {
            Ok(answer) => deferred.resolve(Box::new(move |_| Ok(reply(answer)))),
            Err(failure) => deferred.reject(thrown(&failure)),
        }
    });
    Ok(promise)
}

fn reply(answer: Answer) -> Reply {
    match answer {
        Answer::Nothing => Either4::A(Null),
        Answer::Json(text) => Either4::B(text),
        Answer::Bytes(content) => Either4::C(Uint8Array::from(Vec::from(content))),
        Answer::Object(object) => Either4::D(Handle::of(object)),
    }
}

/// An error whose message is the failure as JSON: the face makes a typed one of it.
fn thrown(failure: &Failure) -> Error {
    let failure = serde_json::to_string(failure).unwrap_or_default();
    Error::new(Status::GenericFailure, failure)
}

fn failure(code: &str, reason: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        reason: reason.to_owned(),
        hint: None,
        retry_after: None,
        retryable: false,
    }
}
