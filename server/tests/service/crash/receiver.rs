//! Who takes the webhooks: now and then it does not answer, or refuses.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// It takes this long to answer, so that a webhook's way is long enough to be met.
const THINKS: Duration = Duration::from_millis(15);

pub(super) struct Receiver {
    address: SocketAddr,
    /// Webhooks that have come and are not answered yet.
    pub(super) under_way: Arc<AtomicUsize>,
    taken: Arc<Mutex<Taken>>,
}

/// The bodies that were acknowledged, by submission.
type Taken = HashMap<String, Vec<Vec<u8>>>;

impl Receiver {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            under_way: Arc::default(),
            taken: Arc::default(),
        };
        let (under_way, taken) = (Arc::clone(&receiver.under_way), Arc::clone(&receiver.taken));
        let count = Arc::new(AtomicU64::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (under_way, taken) = (Arc::clone(&under_way), Arc::clone(&taken));
                let count = Arc::clone(&count);
                std::thread::spawn(move || while receive(&stream, &under_way, &taken, &count) {});
            }
        });
        receiver
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What was acknowledged for a submission, one body for each time.
    pub(super) fn taken(&self, id: &str) -> Vec<Vec<u8>> {
        let taken = self.taken.lock().unwrap();
        taken.get(id).cloned().unwrap_or_default()
    }
}

/// Answers one request; whether there may be another.
fn receive(
    stream: &TcpStream,
    under_way: &AtomicUsize,
    taken: &Mutex<Taken>,
    count: &AtomicU64,
) -> bool {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return false;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|l| l.parse().ok()).unwrap_or(0)];
    if reader.read_exact(&mut body).is_err() {
        return false;
    }
    under_way.fetch_add(1, Ordering::SeqCst);
    std::thread::sleep(THINKS);
    let answer = match count.fetch_add(1, Ordering::SeqCst) % 10 {
        // It breaks down before it has done anything.
        3 => None,
        7 => Some("503 Service Unavailable"),
        _ => {
            let document: Value = serde_json::from_slice(&body).expect("a whole document");
            let id = document["id"].as_str().expect("an id").to_owned();
            taken.lock().unwrap().entry(id).or_default().push(body);
            Some("204 No Content")
        }
    };
    under_way.fetch_sub(1, Ordering::SeqCst);
    let Some(status) = answer else { return false };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").is_ok()
}
