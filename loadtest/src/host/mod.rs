//! The machine: what it is, and what the service and everything else on it use.

mod machine;
mod processes;

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

pub(crate) use machine::Machine;
pub(crate) use processes::{Service, ServiceSample};

/// What `comm` says of the process that reads requests.
const SERVER: &str = "brig-server";

/// CPU time that was used up to some moment. Only differences mean something.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpuSample {
    system: Option<Duration>,
    tool: Duration,
    service: Option<ServiceSample>,
}

impl CpuSample {
    /// As of now.
    pub(crate) fn take(service: Option<&Service>) -> Self {
        let tool = getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
            let time = |t: nix::sys::time::TimeVal| {
                Duration::from_secs(t.tv_sec().unsigned_abs())
                    + Duration::from_micros(t.tv_usec().unsigned_abs())
            };
            time(usage.user_time()) + time(usage.system_time())
        });
        Self {
            system: processes::system_busy(),
            tool,
            service: service.map(Service::sample),
        }
    }

    /// The service's part.
    pub(crate) fn service(&self) -> Option<&ServiceSample> {
        self.service.as_ref()
    }

    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> CpuUse {
        let service = |pick: fn(&ServiceSample) -> Duration| {
            let (now, then) = (self.service.as_ref()?, earlier.service.as_ref()?);
            Some(pick(now).saturating_sub(pick(then)))
        };
        CpuUse {
            system: self
                .system
                .zip(earlier.system)
                .map(|(now, then)| now.saturating_sub(then)),
            tool: self.tool.saturating_sub(earlier.tool),
            service: service(|s| s.cpu),
            server: service(|s| s.cpu_of(SERVER)),
        }
    }
}

/// CPU time that was used while the load lasted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuUse {
    /// By everything on the machine.
    pub(crate) system: Option<Duration>,
    /// By this program.
    pub(crate) tool: Duration,
    /// By all processes of the service, programs included.
    pub(crate) service: Option<Duration>,
    /// By the one that reads requests.
    pub(crate) server: Option<Duration>,
}

impl CpuUse {
    pub(crate) fn add(&mut self, other: &Self) {
        let sum = |own: Option<Duration>, others: Option<Duration>| match (own, others) {
            (Some(own), Some(others)) => Some(own + others),
            (own, others) => own.or(others),
        };
        self.system = sum(self.system, other.system);
        self.service = sum(self.service, other.service);
        self.server = sum(self.server, other.server);
        self.tool += other.tool;
    }
}

/// Memory of the service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct MemoryReport {
    /// The largest sum of resident sizes that was seen, programs included.
    pub(crate) peak_rss_bytes: u64,
    /// Before the load.
    pub(crate) before: BTreeMap<String, MemoryOf>,
    /// After it.
    pub(crate) after: BTreeMap<String, MemoryOf>,
}

/// Memory of the processes with one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemoryOf {
    pub(crate) processes: u64,
    pub(crate) rss_bytes: u64,
    /// With shared pages shared out; null where the kernel does not tell.
    pub(crate) pss_bytes: Option<u64>,
}
