//! A job whose caller does the reading and writing: messages are passed on.

use std::io;

use brig_sandbox::protocol::{FromWorker, Job, StopReason, ToWorker};
use brig_sandbox::report::Sample;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;

use super::progress::Progress;
use super::{Gone, Pipes, Worker};
use crate::pool::session::{Command, Ends, Follow, SessionEnd};
use crate::pool::terminal::Terminal;

impl Worker {
    /// Passes messages between the worker and a session until the stage ends.
    pub(super) async fn accompany(
        &mut self,
        progress: &mut Progress,
        follow: Follow,
    ) -> Result<(), Gone> {
        let Follow {
            started,
            stop,
            commands,
            mut finished,
        } = follow;
        let mut relay = Relay {
            started: Some(started),
            stop,
            commands: Some(commands),
            samples: Vec::new(),
        };
        match self.relay(progress, &mut relay, &mut finished).await {
            Ok(()) => {
                let end = progress.conclude();
                let _ = finished.send(end.and_then(|end| Ok((end.result?, end.collected))));
                Ok(())
            }
            Err(gone) => {
                let _ = finished.send(Err(progress.lost()));
                Err(gone)
            }
        }
    }

    async fn relay(
        &mut self,
        progress: &mut Progress,
        relay: &mut Relay,
        finished: &mut oneshot::Sender<SessionEnd>,
    ) -> Result<(), Gone> {
        while progress.end.is_none() {
            tokio::select! {
                message = self.channel.recv() => match message?.ok_or(Gone::Closed)? {
                    (FromWorker::Sample { job, sample }, _) if job == progress.job => {
                        relay.answer(sample);
                    }
                    (message, fds) => progress.take(message, fds)?,
                },
                reason = stopped(&mut relay.stop), if progress.stoppable() => {
                    self.stop(progress, reason).await?;
                }
                command = next(&mut relay.commands) => self.pass_on(progress, relay, command).await?,
                () = finished.closed(), if progress.stoppable() => {
                    self.stop(progress, StopReason::Cancelled).await?;
                }
                () = sleep_until(progress.deadline) => progress.time_out()?,
            }
            if progress.started
                && !progress.awaits_terminal
                && let Some(started) = relay.started.take()
            {
                let terminal = progress.terminal.take();
                let _ = started.send(terminal.map(Terminal::new).transpose()?);
            }
        }
        Ok(())
    }

    async fn pass_on(
        &self,
        progress: &Progress,
        relay: &mut Relay,
        command: Command,
    ) -> Result<(), Gone> {
        // Neither has a meaning before the start: the sandbox would not answer.
        if !progress.started {
            return Ok(());
        }
        let job = progress.job;
        let message = match command {
            Command::Signal(signal) => ToWorker::Signal { job, signal },
            Command::Sample(reply) => {
                relay.samples.retain(|waiting| !waiting.is_closed());
                relay.samples.push(reply);
                if relay.samples.len() > 1 {
                    return Ok(());
                }
                ToWorker::Sample { job }
            }
        };
        Ok(self.channel.send(&message, &[]).await?)
    }
}

/// The session's ends of `pipes`.
pub(super) fn ends(pipes: Pipes, job: &Job) -> io::Result<Ends> {
    let stdin = pipe::Sender::from_owned_fd(pipes.stdin)?;
    Ok(Ends {
        stdin: Some(stdin).filter(|_| !job.stdin_attached),
        stdout: pipe::Receiver::from_owned_fd(pipes.stdout)?,
        stderr: pipe::Receiver::from_owned_fd(pipes.stderr)?,
    })
}

/// What goes between a worker and a session.
struct Relay {
    /// Until the program has started.
    started: Option<oneshot::Sender<Option<Terminal>>>,
    stop: watch::Receiver<Option<StopReason>>,
    /// Until nobody can command any more.
    commands: Option<mpsc::Receiver<Command>>,
    /// Who waits for a sample; the worker is asked once for all.
    samples: Vec<oneshot::Sender<Sample>>,
}

impl Relay {
    fn answer(&mut self, sample: Sample) {
        for reply in self.samples.drain(..) {
            let _ = reply.send(sample);
        }
    }
}

/// Waits until the job is to be stopped; forever when nobody can say so any more.
async fn stopped(stop: &mut watch::Receiver<Option<StopReason>>) -> StopReason {
    match stop.wait_for(Option::is_some).await.map(|stop| *stop) {
        Ok(Some(reason)) => reason,
        _ => std::future::pending().await,
    }
}

/// The next command; none for ever when nobody can give one any more.
async fn next(commands: &mut Option<mpsc::Receiver<Command>>) -> Command {
    if let Some(receiver) = commands {
        if let Some(command) = receiver.recv().await {
            return command;
        }
        *commands = None;
    }
    std::future::pending().await
}
