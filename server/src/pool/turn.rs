//! Where a caller stands in line.

use uuid::Uuid;

/// Which line a caller stands in, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The next stage of a run that has had a worker before. There are never more of them than
    /// workers.
    Continuing,
    /// Somebody waits for the answer.
    Interactive,
    /// Judging as usual.
    Normal,
    /// What may take its time, such as a rejudge.
    Bulk,
}

pub(super) const CLASSES: usize = 4;

pub(super) const CLASS_LIST: [Class; CLASSES] = [
    Class::Continuing,
    Class::Interactive,
    Class::Normal,
    Class::Bulk,
];

impl Class {
    /// Its name in metrics and traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continuing => "continuing",
            Self::Interactive => "interactive",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

/// Where a caller stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its line.
    pub class: Class,
    /// On whose account.
    pub owner: Option<Uuid>,
    /// Whether it counts against the queue's length and is refused when the queue is full. What
    /// does not count has another bound: how much is judged at once, one look at the tools.
    pub counted: bool,
}

impl Turn {
    /// A new run of `owner`'s.
    pub fn run(owner: Option<Uuid>) -> Self {
        Self {
            class: Class::Interactive,
            owner,
            counted: true,
        }
    }

    /// A stage of a submission of `owner`'s.
    pub fn judging(class: Class, owner: Option<Uuid>) -> Self {
        Self {
            class,
            owner,
            counted: false,
        }
    }

    /// The service's own looks at the tools: they must neither fail nor take the place of a run.
    pub const UPKEEP: Self = Self {
        class: Class::Interactive,
        owner: None,
        counted: false,
    };

    /// The same caller's next stage, or the same stage on another worker.
    #[must_use]
    pub fn continuing(self) -> Self {
        Self {
            class: Class::Continuing,
            counted: false,
            ..self
        }
    }
}
