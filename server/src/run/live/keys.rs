//! Input on its way to a program: a buffer that says when there is room.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What a client sent and a program has not read yet. It takes what it is given, also beyond its
/// bound; whoever fills it asks for room before.
#[derive(Debug)]
pub(super) struct Keys {
    bound_bytes: usize,
    state: Mutex<State>,
    /// Something came in, for the one who empties it.
    came: Notify,
    /// Something went out, for the one who fills it.
    went: Notify,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    /// Of all pieces, and of those taken out but not done with.
    bytes: usize,
    ended: bool,
    /// The program reads no more.
    refused: bool,
}

impl Keys {
    pub(super) fn new(bound_bytes: usize) -> Self {
        Self {
            bound_bytes,
            state: Mutex::default(),
            came: Notify::new(),
            went: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds input. After the end, or when the program reads no more, it is thrown away.
    pub(super) fn push(&self, piece: Vec<u8>) {
        let mut state = self.lock();
        if state.ended || state.refused || piece.is_empty() {
            return;
        }
        state.bytes += piece.len();
        state.pieces.push_back(piece);
        drop(state);
        self.came.notify_one();
    }

    /// There will be no more.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.came.notify_one();
    }

    /// Whether there will be no more.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Whether more may come.
    pub(super) fn has_room(&self) -> bool {
        self.lock().bytes < self.bound_bytes
    }

    /// Waits until more may come.
    pub(super) async fn room(&self) {
        while !self.has_room() {
            self.went.notified().await;
        }
    }

    /// The next piece; [`Self::done`] says that it has been used. `None`: there are no more.
    pub(super) async fn next(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut state = self.lock();
                if let Some(piece) = state.pieces.pop_front() {
                    return Some(piece);
                }
                if state.ended {
                    return None;
                }
            }
            self.came.notified().await;
        }
    }

    /// So many bytes of what was taken out have been used.
    pub(super) fn done(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        drop(state);
        self.went.notify_one();
    }

    /// The program reads no more.
    pub(super) fn refuse(&self) {
        let mut state = self.lock();
        state.refused = true;
        state.pieces.clear();
        state.bytes = 0;
        drop(state);
        self.went.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn room_is_what_has_been_used_not_what_was_taken_out() {
        let keys = Keys::new(4);
        keys.push(b"abc".to_vec());
        assert!(keys.has_room());
        keys.push(b"def".to_vec());
        assert!(keys.room().now_or_never().is_none());
        assert_eq!(keys.next().await.unwrap(), b"abc");
        assert!(!keys.has_room());
        keys.done(3);
        keys.room().await;
        assert_eq!(keys.next().await.unwrap(), b"def");
        assert!(keys.next().now_or_never().is_none());
        keys.end();
        assert_eq!(keys.next().await, None);
        keys.push(b"late".to_vec());
        assert_eq!(keys.next().await, None);
    }

    #[tokio::test]
    async fn a_program_that_reads_no_more_holds_nobody_back() {
        let keys = Keys::new(1);
        keys.push(b"abc".to_vec());
        assert!(!keys.has_room());
        keys.refuse();
        assert!(keys.has_room());
        keys.push(b"abc".to_vec());
        assert!(keys.has_room());
    }
}
