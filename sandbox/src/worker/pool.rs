//! The sandboxes that wait for a job, and those that are on their way out.
//!
//! What differs between sandboxes before the job is known is their [`Shape`]. The pool keeps some
//! of each of the shapes that were last asked for, so that compile-and-run finds both warm.
//!
//! The kernel takes a dead sandbox apart in its own time (grace periods, above all), and the worker
//! does not wait for that: it looks again later. When one is gone, its cgroup goes back to the
//! [`Leaves`].

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::sandbox::{Ending, Sandbox};
use super::{Context, FIRST_SHAPE};
use crate::cgroup::Leaves;
use crate::init::Shape;
use crate::layers::Layers;
use crate::report::SandboxFault;
use crate::step::Step;

/// How long a worker that still has a warm sandbox waits for a job before it prepares another:
/// under load the time is better spent on the next job.
pub(super) const IDLE_BEFORE_PREPARING: Duration = Duration::ZERO;

/// Shapes remembered.
const SHAPES: usize = 2;
/// Sandboxes that may be on their way out; with more, the worker waits for one.
const MAX_ENDING: usize = 8;

/// What jobs asked for.
struct Demand {
    shape: Shape,
    /// Of the latest job of this shape: the next one's is likely the same.
    policy: Option<String>,
}

pub(super) struct Pool {
    per_shape: u32,
    /// The latest last.
    demand: VecDeque<Demand>,
    warm: Vec<Sandbox>,
    leaves: Leaves,
    /// The oldest first.
    ending: VecDeque<Ending>,
}

impl Pool {
    pub(super) fn new(per_shape: u32) -> Self {
        Self {
            per_shape,
            demand: VecDeque::new(),
            warm: Vec::new(),
            leaves: Leaves::default(),
            ending: VecDeque::new(),
        }
    }

    /// Sandboxes waiting.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.warm.len()).unwrap_or(u32::MAX)
    }

    /// The shape of which there are too few.
    pub(super) fn wanted(&mut self, context: &Context) -> Option<Shape> {
        if self.demand.is_empty() {
            let shape = Shape {
                proc: FIRST_SHAPE,
                off: context.off,
                own_memory: false,
            };
            let policy = None;
            self.demand.push_back(Demand { shape, policy });
        }
        let lacks = |shape: &Shape| {
            let have = self.warm.iter().filter(|s| s.shape == *shape).count();
            have < self.per_shape as usize
        };
        let mut shapes = self.demand.iter().rev().map(|demand| demand.shape);
        shapes.find(lacks)
    }

    /// Adds one sandbox.
    pub(super) fn prepare(&mut self, context: &Context, shape: Shape) -> Result<(), SandboxFault> {
        let sandbox = self.create(context, shape)?;
        self.warm.push(sandbox);
        Ok(())
    }

    /// Takes a sandbox of `shape` for a job under `policy`, and whether it was waiting.
    pub(super) fn take(
        &mut self,
        context: &Context,
        shape: Shape,
        policy: &str,
    ) -> Result<(Sandbox, bool), SandboxFault> {
        self.remember(context, shape, policy)?;
        match self.warm.iter().position(|s| s.shape == shape) {
            Some(i) => Ok((self.warm.remove(i), true)),
            None => Ok((self.create(context, shape)?, false)),
        }
    }

    fn create(&mut self, context: &Context, shape: Shape) -> Result<Sandbox, SandboxFault> {
        self.create_for(context, shape, None)
    }

    /// Makes a sandbox, with a `script` one in which an interpreter is held there.
    pub(super) fn create_for(
        &mut self,
        context: &Context,
        shape: Shape,
        script: Option<&str>,
    ) -> Result<Sandbox, SandboxFault> {
        self.reap()?;
        let leaf = self.leaves.take(&context.group);
        let leaf = leaf.step("make the sandbox's cgroup")?;
        let asked = self.demand.iter().find(|demand| demand.shape == shape);
        // The job of an interpreter that is to be held is known, and follows at once.
        let asked = asked.filter(|_| script.is_none());
        let expected = asked.and_then(|demand| demand.policy.as_deref());
        Sandbox::create(context, shape, leaf, script, expected)
    }

    /// Ends a sandbox that has done its job. Nothing of its program is alive.
    pub(super) fn retire(&mut self, sandbox: Sandbox) -> Result<(), SandboxFault> {
        if self.ending.len() >= MAX_ENDING
            && let Some(oldest) = self.ending.pop_front()
        {
            self.bury(oldest)?;
        }
        self.ending.push_back(sandbox.end());
        Ok(())
    }

    /// What becomes readable when a sandbox that is on its way out is gone.
    pub(super) fn ending(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.ending.iter().map(Ending::as_fd)
    }

    /// Whether cgroups are kept for sandboxes to come.
    pub(super) fn has_spare_leaves(&self) -> bool {
        self.leaves.rests()
    }

    /// Gives up the cgroups that are kept for sandboxes to come.
    pub(super) fn drop_spare_leaves(&mut self) -> Result<(), SandboxFault> {
        self.leaves.clear().step("remove the spare cgroups")
    }

    /// Takes leave of the sandboxes that are gone.
    pub(super) fn reap(&mut self) -> Result<(), SandboxFault> {
        if self.ending.is_empty() {
            return Ok(());
        }
        let pidfds = self.ending.iter().map(Ending::as_fd);
        let mut fds: Vec<_> = pidfds
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        poll(&mut fds, PollTimeout::ZERO).step("look at the sandboxes that end")?;
        let gone: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        for gone in gone {
            let Some(ending) = self.ending.pop_front() else {
                break;
            };
            if gone {
                self.bury(ending)?;
            } else {
                self.ending.push_back(ending);
            }
        }
        Ok(())
    }

    fn bury(&mut self, ending: Ending) -> Result<(), SandboxFault> {
        let leaf = ending.wait()?;
        self.leaves
            .give_back(leaf)
            .step("put the sandbox's cgroup away")
    }

    /// Notes that `shape` is in demand, under `policy`; sandboxes of a shape that falls out of sight go.
    fn remember(
        &mut self,
        context: &Context,
        shape: Shape,
        policy: &str,
    ) -> Result<(), SandboxFault> {
        // Shapes with layers off are for probes and come once.
        if shape.off != context.off && shape.off != Layers::empty() {
            return Ok(());
        }
        self.demand.retain(|demand| demand.shape != shape);
        let policy = Some(policy.to_owned());
        self.demand.push_back(Demand { shape, policy });
        if self.demand.len() > SHAPES {
            self.demand.pop_front();
        }
        let demand = &self.demand;
        let unwanted = |s: &mut Sandbox| demand.iter().all(|d| d.shape != s.shape);
        let unwanted: Vec<_> = self.warm.extract_if(.., unwanted).collect();
        unwanted.into_iter().try_for_each(Sandbox::destroy)
    }
}
