//! `GET /v1/runs/ws`: live runs over a WebSocket (RFC 6455).
//!
//! Theory of operation. `open` checks what can be checked before the upgrade, takes a [`Seat`], and
//! gives the connection to a task of its own, which is the only one that touches the socket.
//! `session` waits for `start`, then lets two futures of that task run side by side: the run
//! ([`crate::run::Engine::run_live`]) and the talk with the client. Between them is a
//! [`crate::run::Line`], which holds a few pieces of output and a bounded amount of input.
//!
//! - Output: the run reads a piece from the program only when there is room on the line, and the line is read
//!   only when the socket has taken the piece before ([`wire`]). So what is on its way to a client is a few pieces here,
//!   and the kernel's buffers; a client that does not read makes the program block on its pipe.
//! - Input: the socket is not read while the line holds as much input as it may. It is still
//!   watched for the client's hanging up.
//! - The task ends when the client is gone, in whatever way; that drops the run, which cancels it.

mod handshake;
mod open;
mod seats;
mod session;
mod wire;

pub(super) use handshake::{not_one, without_key};
pub(super) use open::{__path_open, open};
pub(super) use seats::Seats;
