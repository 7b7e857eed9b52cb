//! A submission on its way: a place in the queue, room on the disk and a folder are held for it until it is a run or is dropped.

use std::fs;
use std::sync::Arc;

use ledgerstone::proto::ledgerstone_v1 as wire;

use super::{Held, Inner, RUNS_MAX, Service, now_ms};
use crate::audit::serve::folder::{PARTIAL, Staged};
use crate::audit::serve::queue::{Place, State};
use crate::audit::serve::record::{Record, Submission};
use crate::audit::serve::upload::{self, Upload, announced, compare};
use crate::audit::serve::{RunId, ServeError, inbox};
use crate::folder;

/// What became of the announcement of a submission.
pub(in crate::audit::serve) enum Begun {
    /// The run is known already.
    Known(wire::AuditRun),
    /// It must be uploaded.
    Pending(Pending),
}

/// A submission on its way.
pub(in crate::audit::serve) struct Pending {
    service: Service,
    id: RunId,
    submission: Submission,
    upload: Upload,
    staged: Staged,
    /// The place in the queue, until it is used.
    place: Option<Place>,
    /// The room, until it is the run's.
    room: u64,
}

impl Service {
    /// Takes the announcement of a submission.
    pub(in crate::audit::serve) fn submit(&self, start: wire::SubmitRunStart) -> Result<Begun, ServeError> {
        let said = start.bundle.as_ref().map_or(0, |bundle| bundle.size_bytes);
        let mut submission = announced(start, self.shared.limits.upload_bytes_max)?;
        let no_digest = ServeError::Submission { problem: "a SHA-256 has 64 digits of lowercase hex" };
        let bundle = upload::digest(&submission.bundle).ok_or(no_digest)?;
        let draw = submission.draw.as_ref().and_then(upload::digest);
        let description = submission.description.as_ref().and_then(upload::digest);
        let id = RunId::new(&self.shared.settings, &bundle, draw.as_ref(), description.as_ref());
        if let Some(name) = &submission.inbox {
            let (_, found) = inbox::find(self.shared.inbox.as_deref().ok_or(ServeError::NoInbox)?, name)?;
            if said > 0 && found != said {
                return Err(ServeError::OtherLength { announced: said, found });
            }
            submission.bundle.bytes = found;
        }
        let mut inner = self.shared.lock();
        if let Some(run) = self.known(&mut inner, id)? {
            return Ok(Begun::Known(run));
        }
        if inner.queue.len() >= RUNS_MAX {
            return Err(ServeError::TooManyRuns { runs_max: RUNS_MAX });
        }
        let place = inner.queue.hold()?;
        let record = Record::new(submission.clone(), &self.shared.settings, now_ms());
        let room = record.uploaded();
        let held = inner
            .space
            .take(room)
            .and_then(|()| self.shared.folder.stage().inspect_err(|_| inner.space.give_back(room)));
        let staged = match held {
            Ok(staged) => staged,
            Err(error) => {
                inner.queue.give_back(place);
                return Err(error);
            }
        };
        let upload = Upload::new(&submission);
        let (service, place) = (self.clone(), Some(place));
        Ok(Begun::Pending(Pending { service, id, submission, upload, staged, place, room }))
    }

    /// The run, if there is one that need not be uploaded; one that failed or was cancelled is queued again.
    fn known(&self, inner: &mut Inner, id: RunId) -> Result<Option<wire::AuditRun>, ServeError> {
        let Some(held) = inner.runs.get(&id) else { return Ok(None) };
        if matches!(held.record.state, State::Failed | State::Cancelled) {
            let place = inner.queue.hold()?;
            let number = inner.queue.push(place, id);
            let held = inner.held_mut(id)?;
            let partial = self.shared.folder.path(id, PARTIAL);
            let mut freed = 0;
            if !held.record.may_go_on() {
                freed = fs::metadata(&partial).map_or(0, |about| about.len());
                // Where there is none, nothing has to be cleared away.
                _ = fs::remove_file(partial);
                held.bytes = held.bytes.saturating_sub(freed);
            }
            held.record.number = number;
            held.record.queue_again();
            self.shared.folder.save(id, &held.record)?;
            held.say(id);
            inner.space.give_back(freed);
            tracing::info!(run = %id, "queued again");
            self.fill(inner);
        }
        Ok(Some(inner.held(id)?.said.borrow().clone()))
    }
}

impl Pending {
    /// Takes a chunk of it.
    pub(in crate::audit::serve) fn take(&mut self, chunk: &[u8]) -> Result<(), ServeError> {
        self.upload.take(chunk, &self.staged)
    }

    /// Makes it a run, once everything arrived. The flag says whether somebody else was faster.
    pub(in crate::audit::serve) fn finish(mut self) -> Result<(wire::AuditRun, bool), ServeError> {
        self.upload.finish()?;
        let shared = Arc::clone(&self.service.shared);
        if let (Some(name), Some(folder)) = (&self.submission.inbox, &shared.inbox) {
            let (path, _) = inbox::find(folder, name)?;
            compare("bundle", &self.submission.bundle, &folder::digest(&path)?)?;
        }
        let mut inner = shared.lock();
        if let Some(run) = self.service.known(&mut inner, self.id)? {
            drop(inner);
            return Ok((run, true));
        }
        let Some(place) = self.place.take() else { return Err(ServeError::Ending) };
        let number = inner.queue.push(place, self.id);
        let mut record = Record::new(self.submission.clone(), &shared.settings, now_ms());
        record.number = number;
        if let Err(error) = shared.folder.adopt(&self.staged, self.id, &record) {
            // It just was put there and has not begun.
            _ = inner.queue.cancel(self.id).and_then(|_| inner.queue.delete(self.id));
            drop(inner);
            return Err(error);
        }
        let room = std::mem::take(&mut self.room);
        tracing::info!(run = %self.id, bytes = record.bundle.bytes, "queued");
        inner.runs.insert(self.id, Held::new(self.id, record, room));
        self.service.fill(&mut inner);
        let run = inner.held(self.id)?.said.borrow().clone();
        drop(inner);
        Ok((run, false))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut inner = self.service.shared.lock();
        if let Some(place) = self.place.take() {
            inner.queue.give_back(place);
        }
        inner.space.give_back(self.room);
    }
}
