//! The sandboxes that wait for a job.
//!
//! What differs between sandboxes before the job is known is their [`Shape`]. The pool keeps some
//! of each of the shapes that were last asked for, so that compile-and-run finds both warm.

use std::collections::VecDeque;

use nix::poll::PollTimeout;

use super::sandbox::Sandbox;
use super::{Context, FIRST_SHAPE};
use crate::init::Shape;
use crate::layers::Layers;
use crate::report::SandboxFault;

/// How long a worker that still has a warm sandbox waits for a job before it prepares another:
/// under load the time is better spent on the next job.
pub(super) const IDLE_BEFORE_PREPARING: PollTimeout = PollTimeout::ZERO;

/// Shapes remembered.
const SHAPES: usize = 2;

pub(super) struct Pool {
    per_shape: u32,
    /// The latest last.
    shapes: VecDeque<Shape>,
    warm: Vec<Sandbox>,
    made: u64,
}

impl Pool {
    pub(super) fn new(per_shape: u32) -> Self {
        Self {
            per_shape,
            shapes: VecDeque::new(),
            warm: Vec::new(),
            made: 0,
        }
    }

    /// Sandboxes waiting.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.warm.len()).unwrap_or(u32::MAX)
    }

    /// The shape of which there are too few.
    pub(super) fn wanted(&mut self, context: &Context) -> Option<Shape> {
        if self.shapes.is_empty() {
            self.shapes.push_back(Shape {
                proc: FIRST_SHAPE,
                off: context.off,
            });
        }
        let lacks = |shape: &&Shape| {
            let have = self.warm.iter().filter(|s| s.shape == **shape).count();
            have < self.per_shape as usize
        };
        self.shapes.iter().rev().find(lacks).copied()
    }

    /// Adds one sandbox.
    pub(super) fn prepare(&mut self, context: &Context, shape: Shape) -> Result<(), SandboxFault> {
        let sandbox = self.create(context, shape)?;
        self.warm.push(sandbox);
        Ok(())
    }

    /// Takes a sandbox of `shape`, and whether it was waiting.
    pub(super) fn take(
        &mut self,
        context: &Context,
        shape: Shape,
    ) -> Result<(Sandbox, bool), SandboxFault> {
        self.remember(context, shape)?;
        match self.warm.iter().position(|s| s.shape == shape) {
            Some(i) => Ok((self.warm.remove(i), true)),
            None => Ok((self.create(context, shape)?, false)),
        }
    }

    fn create(&mut self, context: &Context, shape: Shape) -> Result<Sandbox, SandboxFault> {
        self.made += 1;
        Sandbox::create(context, shape, &format!("s-{}", self.made))
    }

    /// Notes that `shape` is in demand; sandboxes of a shape that falls out of sight go.
    fn remember(&mut self, context: &Context, shape: Shape) -> Result<(), SandboxFault> {
        // Shapes with layers off are for probes and come once.
        if shape.off != context.off && shape.off != Layers::empty() {
            return Ok(());
        }
        self.shapes.retain(|s| *s != shape);
        self.shapes.push_back(shape);
        if self.shapes.len() > SHAPES {
            self.shapes.pop_front();
        }
        let shapes = &self.shapes;
        let (keep, drop): (Vec<_>, Vec<_>) =
            self.warm.drain(..).partition(|s| shapes.contains(&s.shape));
        self.warm = keep;
        drop.into_iter().try_for_each(Sandbox::destroy)
    }
}
