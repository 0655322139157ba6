//! One upload: bytes come in pieces, are hashed and written as they come, and become a blob once all
//! are there.
//!
//! At most [`BATCH_BYTES`] and what is being written are in memory. An upload that is dropped at any
//! moment leaves nothing behind; once [`Upload::finish`] has been called it is finished even if
//! nobody waits for the answer.

use std::io::{self, Write};

use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::files::Unfinished;
use super::ledger::{NoRoom, Reservation};
use super::{BlobHash, BlobPin, BlobStore, UploadError};
use crate::store::Owner;

/// What is handed to the disk at once: handing over costs some microseconds.
const BATCH_BYTES: usize = 256 << 10;

/// A blob on its way in.
#[derive(Debug)]
pub struct Upload {
    store: BlobStore,
    owner: Owner,
    expected: Option<BlobHash>,
    reservation: Reservation,
    /// `None` while it is elsewhere, being written to.
    sink: Option<Sink>,
    batch: Vec<u8>,
    received_bytes: u64,
    /// The owner has the blob already, and keeps it meanwhile.
    known: Option<BlobPin>,
}

/// Where the bytes go.
#[derive(Debug)]
struct Sink {
    hash: Sha256,
    /// `None`: the content is there already, and only has to be compared.
    file: Option<Unfinished>,
}

/// What is left to do once all bytes are there.
pub(super) struct Finished {
    pub(super) owner: Owner,
    pub(super) hash: BlobHash,
    pub(super) bytes: u64,
    pub(super) file: Option<Unfinished>,
    /// Both held until the blob is in the store.
    pub(super) _held: (Reservation, Option<BlobPin>),
}

impl Upload {
    /// Begins an upload of what should have the hash `expected`, and be `len` bytes, as far as that
    /// is known.
    pub(super) async fn begin(
        store: BlobStore,
        owner: Owner,
        expected: Option<BlobHash>,
        len: Option<u64>,
    ) -> Result<Self, UploadError> {
        let max = store.config().max_blob_bytes;
        if len.is_some_and(|len| len > max) {
            return Err(UploadError::TooLarge { max_bytes: max });
        }
        let usage = store.rows().blob_usage(owner).await?;
        let reservation = store.ledger().begin(owner, usage);
        let mut reservation = reservation.ok_or(UploadError::Busy)?;
        let known = match expected {
            Some(hash) => store.pin_if_whole(owner, hash).await?,
            None => None,
        };
        let file = if known.is_some() {
            None
        } else {
            store.reserve(&mut reservation, len.unwrap_or(0))?;
            let store = store.clone();
            Some(blocking(move || store.files().create()).await?)
        };
        Ok(Self {
            store,
            owner,
            expected,
            reservation,
            sink: Some(Sink {
                hash: Sha256::new(),
                file,
            }),
            batch: Vec::new(),
            received_bytes: 0,
            known,
        })
    }

    /// Takes the next piece.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        let max = self.store.config().max_blob_bytes;
        self.received_bytes += piece.len() as u64;
        if self.received_bytes > max {
            return Err(UploadError::TooLarge { max_bytes: max });
        }
        if self.known.is_none() {
            self.store
                .reserve(&mut self.reservation, self.received_bytes)?;
        }
        let mut rest = piece;
        while !rest.is_empty() {
            let room = BATCH_BYTES - self.batch.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.batch.extend_from_slice(now);
            rest = later;
            if self.batch.len() == BATCH_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        let (mut batch, sink) = (std::mem::take(&mut self.batch), self.sink.take());
        let mut sink = sink.ok_or_else(|| io::Error::other("an earlier write failed"))?;
        let written = blocking(move || {
            sink.hash.update(&batch);
            if let Some(unfinished) = &mut sink.file {
                unfinished.file.write_all(&batch)?;
            }
            batch.clear();
            Ok((batch, sink))
        });
        let (batch, sink) = written.await?;
        (self.batch, self.sink) = (batch, Some(sink));
        Ok(())
    }

    /// All bytes are there: checks their hash, and makes a blob of them that survives a crash.
    pub async fn finish(mut self) -> Result<Uploaded, UploadError> {
        self.flush().await?;
        let sink = self.sink.take();
        let Sink { hash, file } = sink.ok_or_else(|| io::Error::other("nothing was written"))?;
        let hash = BlobHash(hash.finalize().into());
        if let Some(expected) = self.expected.filter(|expected| *expected != hash) {
            let actual = hash;
            return Err(UploadError::Mismatch { expected, actual });
        }
        let finished = Finished {
            owner: self.owner,
            hash,
            bytes: self.received_bytes,
            file,
            _held: (self.reservation, self.known),
        };
        let new = self.store.commit(finished).await?;
        Ok(Uploaded {
            hash,
            bytes: self.received_bytes,
            new,
        })
    }
}

/// A blob that is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its name.
    pub hash: BlobHash,
    /// Its length.
    pub bytes: u64,
    /// Whether its owner did not have it before.
    pub new: bool,
}

impl BlobStore {
    fn reserve(&self, reservation: &mut Reservation, bytes: u64) -> Result<(), UploadError> {
        let config = self.config();
        reservation.grow(bytes).map_err(|no_room| match no_room {
            NoRoom::Owner => UploadError::OverQuota {
                max_bytes: config.max_bytes_per_key,
            },
            NoRoom::Disk => UploadError::Full,
        })
    }
}

/// Does `work` where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

impl Finished {
    /// Syncs the content.
    pub(super) async fn synced(mut self) -> io::Result<Self> {
        blocking(move || {
            if let Some(unfinished) = &mut self.file {
                unfinished.file.sync_all()?;
            }
            Ok(self)
        })
        .await
    }
}
