//! Keeping long computations away from the threads that wait on sockets.

/// Work on fewer bytes than this is done at once: handing it over would cost more.
const INLINE_BYTES: usize = 256 << 10;

/// Does `work` on `bytes` bytes, elsewhere if they are many.
pub(crate) async fn offload<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if bytes < INLINE_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only when the runtime shuts down, and then nobody waits for this.
            Err(_) => std::future::pending().await,
        },
    }
}
