//! Clients that submit, and observers of what becomes of it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use serde_json::{Value, json};

use super::receiver::Receiver;
use crate::harness::{agent, eventually};

/// Clients at once.
pub(super) const CLIENTS: usize = 3;
/// Before a request that was not answered is sent again.
const AGAIN: Duration = Duration::from_millis(20);

/// Between two looks at what was accepted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A submission that was accepted.
#[derive(Clone)]
struct Accepted {
    id: String,
    expected: &'static str,
    /// Verdict and time of its end, as they were told first.
    told: Option<(String, String)>,
    /// Later tellings that were not the same.
    changed: u32,
}

/// The load, and what is known of it.
pub(super) struct Load {
    address: RwLock<SocketAddr>,
    hook: String,
    /// Submissions without a result at which clients pause: the queue should never be empty, nor
    /// take long at the end.
    most_outstanding: usize,
    stopped: AtomicBool,
    /// Acceptances under way.
    pub(super) posting: AtomicUsize,
    accepted: Mutex<Vec<Accepted>>,
}

/// Stops the load when the test fails, so that its threads end.
pub(super) struct EndAtPanic<'a>(&'a Load);

impl Drop for EndAtPanic<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Load {
    pub(super) fn new(address: SocketAddr, hook: String, most_outstanding: usize) -> Self {
        Self {
            address: RwLock::new(address),
            hook,
            most_outstanding,
            stopped: AtomicBool::new(false),
            posting: AtomicUsize::new(0),
            accepted: Mutex::default(),
        }
    }

    /// The service is somewhere else from now on.
    pub(super) fn moved(&self, address: SocketAddr) {
        *self.address.write().unwrap() = address;
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(super) fn end_at_panic(&self) -> EndAtPanic<'_> {
        EndAtPanic(self)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", *self.address.read().unwrap())
    }

    fn get(&self, agent: &ureq::Agent, path: &str) -> Option<Value> {
        let mut answer = agent.get(self.url(path)).call().ok()?;
        (answer.status() == 200).then(|| answer.body_mut().read_json().ok())?
    }

    /// Submits until the load is stopped.
    pub(super) fn submit(&self, client: usize) {
        let agent = agent();
        for n in 0.. {
            while self.outstanding() >= self.most_outstanding && !self.is_stopped() {
                std::thread::sleep(AGAIN);
            }
            if self.is_stopped() {
                return;
            }
            let (request, expected) = submission(client, n, &self.hook);
            let id = self.accepted(&agent, &format!("{client}-{n}"), &request);
            self.accepted.lock().unwrap().push(Accepted {
                id,
                expected,
                told: None,
                changed: 0,
            });
        }
    }

    /// Sends a request until it is accepted.
    fn accepted(&self, agent: &ureq::Agent, key: &str, request: &Value) -> String {
        let mut id = None;
        eventually("a submission is accepted", || {
            self.posting.fetch_add(1, Ordering::SeqCst);
            let request = agent
                .post(self.url("/v1/submissions"))
                .header("idempotency-key", key)
                .send_json(request);
            self.posting.fetch_sub(1, Ordering::SeqCst);
            let answer = request.ok().filter(|answer| answer.status() == 202);
            let answer = answer.and_then(|mut a| a.body_mut().read_json::<Value>().ok());
            id = answer.and_then(|answer| Some(answer["id"].as_str()?.to_owned()));
            if id.is_none() {
                std::thread::sleep(AGAIN);
            }
            id.is_some()
        });
        id.unwrap()
    }

    fn outstanding(&self) -> usize {
        let accepted = self.accepted.lock().unwrap();
        accepted.iter().filter(|a| a.told.is_none()).count()
    }

    /// Looks at what was accepted until the load is stopped.
    pub(super) fn observe(&self) {
        let agent = agent();
        let mut round = 0;
        while !self.is_stopped() {
            self.look(&agent, round);
            round += 1;
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Looks at what has no result yet, and again at a part of the rest.
    fn look(&self, agent: &ureq::Agent, round: usize) {
        let all = self.accepted.lock().unwrap().clone();
        for (index, submission) in all.iter().enumerate() {
            if submission.told.is_some() && index % 50 != round % 50 {
                continue;
            }
            let shown = self.get(agent, &format!("/v1/submissions/{}", submission.id));
            let Some(end) = shown.as_ref().and_then(end_of) else {
                continue;
            };
            let mut accepted = self.accepted.lock().unwrap();
            let known = &mut accepted[index];
            match &known.told {
                None => known.told = Some(end),
                Some(told) => known.changed += u32::from(*told != end),
            }
        }
    }

    /// Waits for everything's end, and counts.
    pub(super) fn settle(&self, receiver: &Receiver) -> Tally {
        let agent = agent();
        let mut round = 0;
        eventually("everything accepted has its result", || {
            self.look(&agent, round);
            round += 1;
            self.outstanding() == 0
        });
        // Each once more.
        (0..50).for_each(|round| self.look(&agent, round));
        let accepted = self.accepted.lock().unwrap().clone();
        eventually("every webhook has come", || {
            accepted.iter().all(|a| !receiver.taken(&a.id).is_empty())
        });
        let ids: BTreeSet<_> = accepted.iter().map(|a| a.id.clone()).collect();
        let listed = self.listed(&agent);
        let mut tally = Tally {
            accepted: accepted.len(),
            finished: accepted.iter().filter(|a| a.told.is_some()).count(),
            lost: ids.difference(&listed).count(),
            doubled: listed.difference(&ids).count() + accepted.len() - ids.len(),
            changed: accepted.iter().map(|a| a.changed).sum(),
            ..Tally::default()
        };
        for submission in &accepted {
            tally.webhooks(submission, &receiver.taken(&submission.id));
        }
        tally
    }

    /// Every submission that the service knows.
    fn listed(&self, agent: &ureq::Agent) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        let mut path = "/v1/submissions?limit=100".to_owned();
        loop {
            let page = self.get(agent, &path).expect("a page of the list");
            let items = page["submissions"].as_array().unwrap();
            ids.extend(items.iter().map(|s| s["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => path = format!("/v1/submissions?limit=100&cursor={next}"),
                None => return ids,
            }
        }
    }
}

/// Verdict and time of a submission's end.
fn end_of(document: &Value) -> Option<(String, String)> {
    (document["state"] == "finished").then(|| {
        let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
        (text("verdict"), text("finished_at"))
    })
}

/// One submission, and the verdict that it should get. Every third is compiled, anew each time.
fn submission(client: usize, n: usize, hook: &str) -> (Value, &'static str) {
    let right = n.is_multiple_of(2);
    let answer = if right { "7" } else { "8" };
    let tests: Vec<_> = (0..3)
        .map(|_| json!({"stdin": "3 4", "expected_output": answer}))
        .collect();
    let (language, source) = if n.is_multiple_of(3) {
        let source = format!(
            "#include <stdio.h>\n/* {client} {n} */ int main(void){{int a,b;scanf(\"%d %d\",&a,&b);printf(\"%d\\n\",a+b);}}"
        );
        ("c", source)
    } else {
        let source = "print(sum(map(int, input().split())))".to_owned();
        ("python", source)
    };
    let limits = json!({"cpu_time_ms": 10_000, "wall_time_ms": 60_000});
    let request = json!({
        "language": language, "source": source, "tests": tests, "limits": limits,
        "callback": {"url": hook},
    });
    (request, if right { "accepted" } else { "wrong_answer" })
}

/// What came of it all.
#[derive(Debug, Default)]
pub(super) struct Tally {
    accepted: usize,
    finished: usize,
    /// Accepted, but not known any more.
    lost: usize,
    /// Known, but never told to a client.
    doubled: usize,
    /// Results that were not the same when asked for again.
    changed: u32,
    /// Results that are not what they should be.
    wrong: Vec<String>,
    /// Submissions whose webhook was acknowledged more than once: sent again because the service was
    /// killed before it had noted the first.
    repeated: usize,
    /// Webhooks that did not say what the service says.
    contradicted: usize,
}

impl Tally {
    fn webhooks(&mut self, submission: &Accepted, bodies: &[Vec<u8>]) {
        let told = submission.told.as_ref();
        if told.is_none_or(|(verdict, _)| verdict != submission.expected) {
            let (id, expected) = (&submission.id, submission.expected);
            self.wrong.push(format!("{id}: {told:?}, not {expected}"));
        }
        self.repeated += usize::from(bodies.len() > 1);
        let ends = bodies.iter().map(|body| {
            let document: Value = serde_json::from_slice(body).unwrap();
            end_of(&document)
        });
        let other = ends.filter(|end| end.as_ref() != told).count();
        let different = bodies.iter().filter(|body| **body != bodies[0]).count();
        self.contradicted += other + different;
    }

    pub(super) fn assert_nothing_wrong(&self) {
        assert!(self.accepted > 0, "nothing was accepted");
        assert_eq!(self.finished, self.accepted);
        let wrongs = (self.lost, self.doubled, self.changed, self.contradicted);
        assert_eq!(wrongs, (0, 0, 0, 0), "{self:?}");
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "accepted {}, finished {}, lost {}, doubled {}, changed {}, wrong {}; webhooks: \
             contradicting {}, acknowledged more than once {}",
            self.accepted,
            self.finished,
            self.lost,
            self.doubled,
            self.changed,
            self.wrong.len(),
            self.contradicted,
            self.repeated,
        )
    }
}
