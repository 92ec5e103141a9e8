//! What Python holds.

use std::sync::{Arc, Mutex, PoisonError};

use nakivo_bindings::{Class, NakivoError, runtime};
use pyo3::prelude::*;

/// An object of the library, until it is closed. May be used by several threads at once.
#[pyclass(frozen, module = "nakivo._native")]
pub(crate) struct Handle {
    class: &'static str,
    process: u32,
    object: Mutex<Option<Arc<dyn Class>>>,
}

impl Handle {
    pub(crate) fn of(object: Arc<dyn Class>) -> Self {
        Self {
            class: object.class(),
            process: std::process::id(),
            object: Mutex::new(Some(object)),
        }
    }

    /// The object.
    pub(crate) fn object(&self) -> Result<Arc<dyn Class>, NakivoError> {
        if self.is_foreign() {
            // The threads that work for it, and what they held locked, stayed behind.
            let why =
                "it belongs to the process that this one was forked from; allowed: one that was opened here";
            return Err(NakivoError::unfit(self.class, why));
        }
        let object = self.object.lock().unwrap_or_else(PoisonError::into_inner);
        object.clone().ok_or_else(|| NakivoError::closed(self.class))
    }

    fn is_foreign(&self) -> bool {
        self.process != std::process::id()
    }

    /// Lets go of the object. Calls that go on keep it until they end.
    fn release(&self) {
        if self.is_foreign() {
            return;
        }
        let object = self.object.lock().unwrap_or_else(PoisonError::into_inner).take();
        let runtime = runtime::handle();
        let _inside = runtime.as_ref().map(tokio::runtime::Handle::enter);
        drop(object);
    }
}

#[pymethods]
impl Handle {
    /// The name of its class.
    #[getter]
    fn class_name(&self) -> &'static str {
        self.class
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        !self.is_foreign()
            && self
                .object
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_none()
    }

    /// Lets go of the object; calls fail from then on. May be repeated.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.release());
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_foreign() {
            // Its locks may be held by threads that are not here: it is left where it is.
            let object = self.object.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(object.take());
        } else {
            self.release();
        }
    }
}
