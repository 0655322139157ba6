//! A program that is ready to run: compiled, if its language compiles.

use std::io;
use std::sync::Arc;

use brig_sandbox::limits::Limits;

use super::files::{self, Artifacts, Misfit};
use super::verdict::{self, Verdict};
use super::words;
use crate::language::{Language, Plan, StagePlan};
use crate::pool::{Archive, StageOutput};

/// A program that can be run any number of times. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its language.
    pub language: Arc<Language>,
    plan: Arc<Plan>,
    main_class: Option<String>,
    archives: Vec<Archive>,
}

impl Program {
    /// One of a language that does not compile.
    pub(super) fn interpreted(language: Arc<Language>, plan: Arc<Plan>) -> io::Result<Self> {
        Ok(Self {
            archives: vec![files::pack(&plan)?],
            main_class: None,
            language,
            plan,
        })
    }

    /// One that the compile stage made `artifacts` of; or why it does not fit the plan's run stage.
    pub(super) fn compiled(
        language: Arc<Language>,
        plan: Arc<Plan>,
        artifacts: Artifacts,
    ) -> io::Result<Result<Self, String>> {
        let missing = artifacts.missing(&plan);
        let limits = &plan.run.limits;
        if let Some(misfit) = artifacts.misfit(&missing, limits) {
            return Ok(Err(too_large(misfit, limits)));
        }
        let main_class = if plan.needs_artifacts() {
            language.main_class(&plan, &artifacts.files()?)
        } else {
            None
        };
        Ok(Ok(Self {
            archives: artifacts.archives(&missing, plan.executable)?,
            main_class,
            language,
            plan,
        }))
    }

    /// What it was planned to be run with.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The run stage as it was planned.
    pub fn stage(&self) -> StagePlan {
        self.stage_with(None, self.plan.run.limits)
    }

    /// The run stage with other limits, and other arguments if there are.
    pub fn stage_with(&self, args: Option<&[String]>, limits: Limits) -> StagePlan {
        let args = args.unwrap_or(self.plan.args()).to_vec();
        let main_class = self.main_class.clone();
        self.language
            .run_stage(&self.plan, main_class, args, limits)
    }

    /// What a stage of it means that ended like this under `limits`.
    pub fn verdict(&self, output: &StageOutput, limits: &Limits) -> Verdict {
        verdict::of_run(output, limits, &self.language)
    }

    /// What is unpacked into its `/box`.
    pub fn archives(&self) -> Vec<Archive> {
        self.archives.clone()
    }
}

fn too_large(misfit: Misfit, limits: &Limits) -> String {
    match misfit {
        Misfit::Bytes(bytes) => format!(
            "the compiled files need {} of disk, the run's limit is {}",
            words::bytes(bytes),
            words::bytes(limits.disk_bytes)
        ),
        Misfit::Inodes(inodes) => format!(
            "the compiled files and directories are {inodes}, the run's limit is {}",
            limits.disk_inodes
        ),
    }
}
