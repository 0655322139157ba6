//! A job whose output is read here.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use brig_sandbox::protocol::{Job, StopReason};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::progress::{End, Progress};
use super::{Answer, Gone, Worker};
use crate::pool::StageOutput;
use crate::pool::capture::{Capture, Reading};

/// How long the output of a job is left in its pipes. Most programs are over by then, and each look at
/// them before that takes time from them; one that writes more than a pipe holds waits so long, once.
const UNWATCHED: Duration = Duration::from_millis(2);

impl Worker {
    /// Reads what the program writes until all is over.
    pub(super) async fn capture(
        &mut self,
        progress: &mut Progress,
        mut streams: Streams,
        mut reply: oneshot::Sender<Answer>,
    ) -> Result<(), Gone> {
        match self.drive(progress, &mut streams, &mut reply).await {
            Ok(()) => {
                let end = progress.conclude();
                let _ = reply.send(end.and_then(|end| streams.into_output(end)));
                Ok(())
            }
            Err(gone) => {
                let _ = reply.send(Err(progress.lost()));
                Err(gone)
            }
        }
    }

    async fn drive(
        &mut self,
        progress: &mut Progress,
        streams: &mut Streams,
        reply: &mut oneshot::Sender<Answer>,
    ) -> Result<(), Gone> {
        self.wait_unwatched(progress).await?;
        streams.drain(&mut self.buffer)?;
        streams.watch()?;
        while progress.end.is_none() || !streams.ended() {
            if progress.stoppable() && streams.over_limit() {
                self.stop(progress, StopReason::OutputLimit).await?;
            }
            tokio::select! {
                message = self.channel.recv(), if progress.end.is_none() => {
                    let (message, fds) = message?.ok_or(Gone::Closed)?;
                    progress.take(message, fds)?;
                }
                ready = streams.stdout.readable(), if !streams.stdout.ended() => {
                    ready?;
                    streams.stdout.drain(&mut self.buffer)?;
                }
                ready = streams.stderr.readable(), if !streams.stderr.ended() => {
                    ready?;
                    streams.stderr.drain(&mut self.buffer)?;
                }
                () = reply.closed(), if progress.stoppable() => {
                    self.stop(progress, StopReason::Cancelled).await?;
                }
                () = sleep_until(progress.deadline) => {
                    progress.time_out()?;
                    streams.abandon();
                }
            }
        }
        Ok(())
    }

    /// Waits for the end of a short job.
    async fn wait_unwatched(&self, progress: &mut Progress) -> Result<(), Gone> {
        let end = Instant::now() + UNWATCHED;
        while progress.end.is_none() {
            let Ok(message) = timeout_at(end, self.channel.recv()).await else {
                break;
            };
            let (message, fds) = message?.ok_or(Gone::Closed)?;
            progress.take(message, fds)?;
        }
        Ok(())
    }
}

/// What a program writes, while it is being read here.
pub(super) struct Streams {
    stdout: Capture,
    stderr: Capture,
}

impl Streams {
    pub(super) fn new(
        job: &Job,
        stdout: OwnedFd,
        stream: Reading,
        stderr: OwnedFd,
    ) -> io::Result<Self> {
        let limit_bytes = job.limits.output_bytes;
        let keep_bytes = stream.keep_bytes;
        let errors = Reading {
            keep_bytes,
            tap: None,
        };
        Ok(Self {
            stdout: Capture::new(stdout, limit_bytes, stream)?,
            stderr: Capture::new(stderr, limit_bytes, errors)?,
        })
    }

    fn drain(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.stdout.drain(buffer)?;
        self.stderr.drain(buffer)
    }

    /// From here on both are waited for, unless they have ended.
    fn watch(&mut self) -> io::Result<()> {
        self.stdout.watch()?;
        self.stderr.watch()
    }

    pub(super) fn ended(&self) -> bool {
        self.stdout.ended() && self.stderr.ended()
    }

    pub(super) fn over_limit(&self) -> bool {
        self.stdout.over_limit() || self.stderr.over_limit()
    }

    pub(super) fn abandon(&mut self) {
        self.stdout.abandon();
        self.stderr.abandon();
    }

    pub(super) fn into_output(self, end: End) -> Answer {
        Ok(StageOutput {
            report: end.result?,
            stdout: self.stdout.into_captured(),
            stderr: self.stderr.into_captured(),
            collected: end.collected,
        })
    }
}
