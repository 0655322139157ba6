//! The checker that a submission asks for.

use crate::api::{
    CheckerKind, CheckerProtocol, CheckerRequest, FieldError, InteractorRequest, RunRequest,
};
use crate::judge::compare::Comparison;

use super::Setup;

/// What decides whether an output is right.
#[derive(Clone, Debug)]
pub enum Checker {
    /// A comparison with the expected output.
    Compare(Comparison),
    /// A program.
    Program(Box<ProgramChecker>),
}

/// A checker program, or an interactor. Its language, files and limits are not validated yet.
#[derive(Clone, Debug)]
pub struct ProgramChecker {
    /// How it is called and how it answers.
    pub protocol: CheckerProtocol,
    /// The program. Its arguments are those of the protocol, then those of the request.
    pub program: RunRequest,
}

impl Checker {
    /// Takes `request`, which is at `pointer`; what is wrong with it is added to `errors`.
    pub fn of(
        request: CheckerRequest,
        pointer: &str,
        errors: &mut Vec<FieldError>,
    ) -> Option<Self> {
        let before = errors.len();
        misplaced(&request, pointer, errors);
        let checker = match request.kind {
            CheckerKind::Exact => Self::Compare(Comparison::Exact),
            CheckerKind::Lines => Self::Compare(Comparison::Lines),
            CheckerKind::Tokens => Self::Compare(Comparison::Tokens { ignore_case: false }),
            CheckerKind::TokensCi => Self::Compare(Comparison::Tokens { ignore_case: true }),
            CheckerKind::Float => Self::Compare(Comparison::Float {
                absolute: request.absolute.unwrap_or(0.0),
                relative: request.relative.unwrap_or(0.0),
            }),
            CheckerKind::SortedLines => Self::Compare(Comparison::SortedLines),
            CheckerKind::Program => Self::Program(program(request, pointer, errors)?),
        };
        (errors.len() == before).then_some(checker)
    }
}

impl ProgramChecker {
    /// An error of `program` as one of the request that it was made of, which is at `pointer`.
    pub fn locate(&self, pointer: &str, error: FieldError) -> FieldError {
        let own_args = Setup::of(self.protocol).args.len();
        let index = error.pointer.strip_prefix("/args/");
        let index = index.and_then(|i| i.parse::<usize>().ok());
        let place = match index.and_then(|i| i.checked_sub(own_args)) {
            Some(index) => format!("/args/{index}"),
            None => error.pointer,
        };
        FieldError::new(format!("{pointer}{place}"), error.detail)
    }
}

/// Takes the interactor `request`, which is at `pointer`; what is wrong with it is added to `errors`.
pub fn interactor(
    request: InteractorRequest,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) -> Option<Box<ProgramChecker>> {
    let before = errors.len();
    let request = CheckerRequest {
        kind: CheckerKind::Program,
        language: Some(request.language),
        source: request.source,
        source_encoding: Some(request.source_encoding),
        files: Some(request.files),
        entry: request.entry,
        compiler_args: Some(request.compiler_args),
        protocol: Some(request.protocol),
        args: Some(request.args),
        limits: request.limits,
        compile_limits: request.compile_limits,
        ..CheckerRequest::default()
    };
    program(request, pointer, errors).filter(|_| errors.len() == before)
}

/// Fields that belong to other kinds of checker.
fn misplaced(request: &CheckerRequest, pointer: &str, errors: &mut Vec<FieldError>) {
    let (float, program) = (CheckerKind::Float, CheckerKind::Program);
    let given = [
        ("absolute", request.absolute.is_some(), float),
        ("relative", request.relative.is_some(), float),
        ("language", request.language.is_some(), program),
        ("source", request.source.is_some(), program),
        (
            "source_encoding",
            request.source_encoding.is_some(),
            program,
        ),
        ("files", request.files.is_some(), program),
        ("entry", request.entry.is_some(), program),
        ("compiler_args", request.compiler_args.is_some(), program),
        ("protocol", request.protocol.is_some(), program),
        ("args", request.args.is_some(), program),
        ("limits", request.limits.is_some(), program),
        ("compile_limits", request.compile_limits.is_some(), program),
    ];
    for (name, _, kind) in given
        .iter()
        .filter(|(_, given, kind)| *given && *kind != request.kind)
    {
        let detail = format!(
            "only a checker of type `{}` has `{name}`, this one is of type `{}`",
            kind.as_str(),
            request.kind.as_str()
        );
        errors.push(FieldError::new(format!("{pointer}/{name}"), detail));
    }
}

fn program(
    request: CheckerRequest,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) -> Option<Box<ProgramChecker>> {
    for (name, missing) in [
        ("language", request.language.is_none()),
        ("protocol", request.protocol.is_none()),
    ] {
        let place = format!("{pointer}/{name}");
        if missing && errors.iter().all(|e| e.pointer != place) {
            let detail = "is required of a checker of type `program`";
            errors.push(FieldError::new(place, detail));
        }
    }
    let (language, protocol) = (request.language?, request.protocol?);
    let setup = Setup::of(protocol);
    let files = request.files.unwrap_or_default();
    for (index, file) in files.iter().enumerate() {
        let first = file.path.split('/').next().unwrap_or_default();
        if setup.reserved.contains(&first) {
            let detail = format!("`{first}` is a name that the protocol uses");
            errors.push(FieldError::new(
                format!("{pointer}/files/{index}/path"),
                detail,
            ));
        }
    }
    let own_args = setup.args.iter().map(|arg| (*arg).to_owned());
    let program = RunRequest {
        language,
        source: request.source,
        source_encoding: request.source_encoding.unwrap_or_default(),
        files,
        entry: request.entry,
        args: own_args.chain(request.args.unwrap_or_default()).collect(),
        compiler_args: request.compiler_args.unwrap_or_default(),
        limits: request.limits,
        compile_limits: request.compile_limits,
        ..RunRequest::default()
    };
    Some(Box::new(ProgramChecker { protocol, program }))
}
