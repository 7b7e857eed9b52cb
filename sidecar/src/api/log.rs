//! `ledgerstone.v1.Log`.
//!
//! Guarantees: nothing beyond the published checkpoint is served; streams hold a bounded number of messages and end when
//! the sidecar does.

use bytes::Bytes;
use ledgerstone::code::Code;
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::proto::ledgerstone_v1::log_server::Log;
use ledgerstone::proto::ledgerstone_v1::{
    GetCheckpointRequest, GetCheckpointResponse, GetConsistencyProofRequest, GetConsistencyProofResponse,
    GetEntriesRequest, GetEntriesResponse, GetInclusionProofRequest, GetInclusionProofResponse,
    WatchCheckpointsRequest, WatchCheckpointsResponse,
};
use ledgerstone::tile::TILE_WIDTH;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Ending, ended, status, status_of};
use crate::driver::Published;
use crate::reader::{LogReadError, LogReader};
use crate::telemetry::with_causes;

/// Entries that one call streams: 128 MiB of the largest ones.
const ENTRIES_PER_CALL_MAX: u64 = 65_536;

/// Messages that wait in a stream for a slow reader; one holds a bundle, at most 512 KiB.
const STREAM_MESSAGES: usize = 4;

/// Serves the log over gRPC.
#[derive(Clone, Debug)]
pub struct LogApi {
    log: LogReader,
    ending: Ending,
}

impl LogApi {
    /// Serves `log` until `ending` says so.
    pub(crate) fn new(log: LogReader, ending: Ending) -> Self {
        Self { log, ending }
    }

    /// Runs `read`, which may block on the disk.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&LogReader) -> Result<T, LogReadError> + Send + 'static,
    ) -> Result<T, Status> {
        let log = self.log.clone();
        let done = spawn_blocking(move || read(&log)).await;
        let done =
            done.map_err(|_| status_of(Code::Internal, "the log could not be read because of a defect"))?;
        done.map_err(|error| status_of(error.code(), error.to_string()))
    }

    /// The tree size that a request means: 0 stands for the published one.
    fn size(&self, asked: u64) -> Result<TreeSize, Status> {
        let published = self.log.published().size;
        match asked {
            0 => Ok(published),
            size if size <= published.get() => Ok(TreeSize::new(size)),
            size => Err(out_of_range(format!("tree size {size} is past the published size {published}"))),
        }
    }
}

#[tonic::async_trait]
impl Log for LogApi {
    type GetEntriesStream = ReceiverStream<Result<GetEntriesResponse, Status>>;
    type WatchCheckpointsStream = ReceiverStream<Result<WatchCheckpointsResponse, Status>>;

    async fn get_checkpoint(
        &self,
        _request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let (note, tree_size) = note(&self.log.published());
        Ok(Response::new(GetCheckpointResponse { note, tree_size }))
    }

    async fn get_entries(
        &self,
        request: Request<GetEntriesRequest>,
    ) -> Result<Response<Self::GetEntriesStream>, Status> {
        let GetEntriesRequest { start, end } = request.into_inner();
        let end = self.size(end)?;
        if start > end.get() {
            return Err(out_of_range(format!("start {start} is past the end {end}")));
        }
        let end = TreeSize::new(end.get().min(start.saturating_add(ENTRIES_PER_CALL_MAX)));
        let (messages, stream) = mpsc::channel(STREAM_MESSAGES);
        let log = self.log.clone();
        spawn_blocking(move || send_entries(&log, start, end, &messages));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<GetInclusionProofRequest>,
    ) -> Result<Response<GetInclusionProofResponse>, Status> {
        let GetInclusionProofRequest { leaf_index, tree_size } = request.into_inner();
        let (index, size) = (LeafIndex::new(leaf_index), self.size(tree_size)?);
        if !index.is_in(size) {
            return Err(out_of_range(format!("leaf {index} is not in a tree of {size} leaves")));
        }
        let read = move |log: &LogReader| Ok((log.entry(index)?, log.inclusion(index, size)?));
        let (entry, proof) = self.read(read).await?;
        Ok(Response::new(GetInclusionProofResponse {
            leaf_index,
            tree_size: size.get(),
            leaf_hash: bytes(leaf_hash(&entry)),
            proof: proof.into_iter().map(bytes).collect(),
        }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<GetConsistencyProofRequest>,
    ) -> Result<Response<GetConsistencyProofResponse>, Status> {
        let GetConsistencyProofRequest { from_size, to_size } = request.into_inner();
        let (from, to) = (TreeSize::new(from_size), self.size(to_size)?);
        let proof = self.read(move |log| log.consistency(from, to)).await?;
        Ok(Response::new(GetConsistencyProofResponse {
            from_size,
            to_size: to.get(),
            proof: proof.into_iter().map(bytes).collect(),
        }))
    }

    async fn watch_checkpoints(
        &self,
        _request: Request<WatchCheckpointsRequest>,
    ) -> Result<Response<Self::WatchCheckpointsStream>, Status> {
        let (messages, stream) = mpsc::channel(1);
        let mut published = self.log.watch();
        let ended = ended(self.ending.clone());
        let send = async move {
            loop {
                let (note, tree_size) = note(&published.borrow_and_update());
                let message = WatchCheckpointsResponse { note, tree_size };
                if messages.send(Ok(message)).await.is_err() || published.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = send => {}
                () = ended => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Sends the entries from `start` until before `end`, bundle by bundle, until all are sent or nobody reads.
fn send_entries(
    log: &LogReader,
    start: u64,
    end: TreeSize,
    messages: &mpsc::Sender<Result<GetEntriesResponse, Status>>,
) {
    let mut next = start;
    while next < end.get() {
        let message = match log.bundle(next / u64::from(TILE_WIDTH)) {
            Ok(bundle) => {
                let indexed = (bundle.start.get()..end.get()).zip(bundle.entries);
                let wanted = indexed.skip_while(|(index, _)| *index < next);
                let entries: Vec<Bytes> = wanted.map(|(_, entry)| Bytes::from(entry)).collect();
                let start = next;
                next += entries.len().max(1) as u64;
                Ok(GetEntriesResponse { start, entries })
            }
            Err(error) => Err(unreadable(&error)),
        };
        let failed = message.is_err();
        if messages.blocking_send(message).is_err() || failed {
            return;
        }
    }
}

/// The caller learns what to do; the operator learns which file.
fn unreadable(error: &LogReadError) -> Status {
    tracing::error!(error = with_causes(error), "the published log cannot be read");
    status_of(error.code(), error.to_string())
}

fn note(published: &Published) -> (Bytes, u64) {
    (Bytes::copy_from_slice(published.checkpoint.as_bytes()), published.size.get())
}

fn bytes(hash: Hash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}

fn out_of_range(message: String) -> Status {
    status(tonic::Code::OutOfRange, Code::Misuse, message)
}
