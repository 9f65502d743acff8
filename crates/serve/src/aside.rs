//! Slow work on other threads than the one of all connections.

use crate::api_error::ApiError;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Does slow work on another thread when there is a place for it.
pub(crate) async fn aside<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let place = Arc::clone(places).acquire_owned().await.map_err(|_| broken())?;
    aside_in(place, work).await
}

/// The same in a place that was had already. The place is taken until the work is done, whether or not anybody still
/// waits for it.
pub(crate) async fn aside_in<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let working = move || {
        let done = work();
        drop(place);
        done
    };
    tokio::task::spawn_blocking(working).await.unwrap_or_else(|_| Err(broken()))
}

fn broken() -> ApiError {
    ApiError::new(500, "internal", "the request could not be read because of a fault in loupe")
}
