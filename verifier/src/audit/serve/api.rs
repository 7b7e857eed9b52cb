//! `ledgerstone.v1.Audit` over gRPC.
//!
//! *Guarantees*: reading, writing and hashing files is done away from the threads of the network; whoever sends nothing or takes nothing for
//! a while is let go.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use ledgerstone::proto::ledgerstone_v1 as wire;
use ledgerstone::proto::ledgerstone_v1::audit_server::Audit;
use ledgerstone::proto::ledgerstone_v1::submit_run_request::Part;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::service::{Begun, Service};
use super::{RunId, ServeError};

/// How long nothing may arrive of an upload, or be taken of a stream.
const IDLE: Duration = Duration::from_secs(60);

/// The least time between two states of a run on one stream.
const WATCH_PERIOD: Duration = Duration::from_millis(200);

/// Bytes of one message of results.
const CHUNK_BYTES: usize = 256 * 1024;

/// Messages that a slow reader may be behind.
const WAITING: usize = 2;

/// The service behind its gRPC port.
#[derive(Clone)]
pub struct AuditApi {
    service: Service,
}

impl AuditApi {
    /// The port of `service`.
    #[must_use]
    pub const fn new(service: Service) -> Self {
        Self { service }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Audit for AuditApi {
    async fn submit_run(
        &self,
        request: Request<Streaming<wire::SubmitRunRequest>>,
    ) -> Answer<wire::SubmitRunResponse> {
        let (mut parts, mut ending) = (request.into_inner(), self.service.ending());
        let wrong = |problem| Status::from(ServeError::Submission { problem });
        let Some(Part::Start(start)) = next(&mut parts, &mut ending).await? else {
            return Err(wrong("its first message is no start"));
        };
        let service = self.service.clone();
        let mut pending = match blocking(move || service.submit(start)).await? {
            Begun::Known(run) => {
                return Ok(Response::new(wire::SubmitRunResponse { run: Some(run), was_known: true }));
            }
            Begun::Pending(pending) => pending,
        };
        while let Some(part) = next(&mut parts, &mut ending).await? {
            let Part::Chunk(chunk) = part else { return Err(wrong("it starts twice")) };
            pending = blocking(move || pending.take(&chunk).map(|()| pending)).await?;
        }
        let (run, was_known) = blocking(move || pending.finish()).await?;
        Ok(Response::new(wire::SubmitRunResponse { run: Some(run), was_known }))
    }

    async fn get_run(&self, request: Request<wire::GetRunRequest>) -> Answer<wire::GetRunResponse> {
        let run = self.service.run(id(&request.get_ref().run_id)?)?;
        Ok(Response::new(wire::GetRunResponse { run: Some(run) }))
    }

    async fn list_runs(&self, request: Request<wire::ListRunsRequest>) -> Answer<wire::ListRunsResponse> {
        let wire::ListRunsRequest { page_size, page_token } = request.into_inner();
        let (runs, next_page_token) = self.service.list(page_size, &page_token)?;
        Ok(Response::new(wire::ListRunsResponse { runs, next_page_token }))
    }

    type WatchRunStream = ReceiverStream<Result<wire::WatchRunResponse, Status>>;

    async fn watch_run(&self, request: Request<wire::WatchRunRequest>) -> Answer<Self::WatchRunStream> {
        let id = id(&request.get_ref().run_id)?;
        let (said, permit) = self.service.watch(id)?;
        let (sender, stream) = mpsc::channel(WAITING);
        tokio::spawn(follow(id, said, self.service.ending(), sender, permit));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn cancel_run(&self, request: Request<wire::CancelRunRequest>) -> Answer<wire::CancelRunResponse> {
        let (service, id) = (self.service.clone(), id(&request.get_ref().run_id)?);
        let run = blocking(move || service.cancel(id)).await?;
        Ok(Response::new(wire::CancelRunResponse { run: Some(run) }))
    }

    type FetchResultsStream = ReceiverStream<Result<wire::FetchResultsResponse, Status>>;

    async fn fetch_results(
        &self,
        request: Request<wire::FetchResultsRequest>,
    ) -> Answer<Self::FetchResultsStream> {
        let wire::FetchResultsRequest { run_id, offset } = request.into_inner();
        let (path, bytes, permit) = self.service.results(id(&run_id)?)?;
        if offset > bytes {
            return Err(ServeError::Offset { offset, bytes }.into());
        }
        let file = blocking(move || opened(path, offset)).await?;
        let (sender, stream) = mpsc::channel(WAITING);
        tokio::spawn(hand_out(file, sender, permit));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn delete_run(&self, request: Request<wire::DeleteRunRequest>) -> Answer<wire::DeleteRunResponse> {
        let (service, id) = (self.service.clone(), id(&request.get_ref().run_id)?);
        blocking(move || service.delete(id)).await?;
        Ok(Response::new(wire::DeleteRunResponse {}))
    }
}

fn id(text: &str) -> Result<RunId, ServeError> {
    text.parse()
}

/// Does what waits for the disk, away from the network.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServeError> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Status::internal("a defect in the program: report it")),
    }
}

/// The next message of a submission; nothing at its end.
async fn next(
    parts: &mut Streaming<wire::SubmitRunRequest>,
    ending: &mut watch::Receiver<bool>,
) -> Result<Option<Part>, Status> {
    let message = tokio::select! {
        message = tokio::time::timeout(IDLE, parts.message()) => message,
        () = ended(ending) => return Err(ServeError::Ending.into()),
    };
    let idle = |_| ServeError::Idle { seconds: IDLE.as_secs() };
    match message.map_err(idle)?? {
        None => Ok(None),
        Some(wire::SubmitRunRequest { part: Some(part) }) => Ok(Some(part)),
        Some(_) => Err(ServeError::Submission { problem: "a message of it is empty" }.into()),
    }
}

/// Returns when the service ends.
async fn ended(ending: &mut watch::Receiver<bool>) {
    // An error says that the service is gone, which ends it too.
    _ = ending.wait_for(|ended| *ended).await;
}

/// Sends each state of a run that lasts, until it has ended.
async fn follow(
    id: RunId,
    mut said: watch::Receiver<wire::AuditRun>,
    mut ending: watch::Receiver<bool>,
    sender: mpsc::Sender<Result<wire::WatchRunResponse, Status>>,
    _permit: OwnedSemaphorePermit,
) {
    loop {
        let run = said.borrow_and_update().clone();
        let has_ended = matches!(
            run.state(),
            wire::AuditRunState::Done | wire::AuditRunState::Failed | wire::AuditRunState::Cancelled
        );
        if !sent(&sender, Ok(wire::WatchRunResponse { run: Some(run) })).await || has_ended {
            return;
        }
        tokio::time::sleep(WATCH_PERIOD).await;
        let error = tokio::select! {
            changed = said.changed() => match changed {
                Ok(()) => continue,
                Err(_) => ServeError::Unknown { id },
            },
            () = ended(&mut ending) => ServeError::Ending,
            () = sender.closed() => return,
        };
        sent(&sender, Err(error.into())).await;
        return;
    }
}

/// Sends a file to its end.
async fn hand_out(
    mut file: File,
    sender: mpsc::Sender<Result<wire::FetchResultsResponse, Status>>,
    _permit: OwnedSemaphorePermit,
) {
    loop {
        let read = blocking(move || {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            (&file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
            Ok((file, chunk))
        });
        let chunk = match read.await {
            Ok((_, chunk)) if chunk.is_empty() => return,
            Ok((same, chunk)) => {
                file = same;
                chunk
            }
            Err(error) => {
                sent(&sender, Err(error)).await;
                return;
            }
        };
        if !sent(&sender, Ok(wire::FetchResultsResponse { chunk: chunk.into() })).await {
            return;
        }
    }
}

fn opened(path: PathBuf, offset: u64) -> Result<File, ServeError> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(file)
}

/// Whether the reader took it.
async fn sent<T>(sender: &mpsc::Sender<Result<T, Status>>, message: Result<T, Status>) -> bool {
    matches!(tokio::time::timeout(IDLE, sender.send(message)).await, Ok(Ok(())))
}
