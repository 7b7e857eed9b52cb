//! `ledgerstone.v1.Receipts`.

use ledgerstone::code::Code;
use ledgerstone::merkle::TreeSize;
use ledgerstone::note::KeyName;
use ledgerstone::proto::ledgerstone_v1::get_decision_response;
use ledgerstone::proto::ledgerstone_v1::receipts_server::Receipts;
use ledgerstone::proto::ledgerstone_v1::{
    GetDecisionRequest, GetDecisionResponse, GetReceiptRequest, GetReceiptResponse,
};
use ledgerstone::record::PathPattern;
use tonic::{Request, Response, Status};

use super::{decision, misuse, status_of};
use crate::receipts::{DecisionPlaces, ReceiptService};

/// Patterns of fields in one request.
const PATTERNS_MAX: usize = 256;

/// Serves receipts over gRPC.
#[derive(Clone, Debug)]
pub struct ReceiptsApi {
    receipts: ReceiptService,
    origin: KeyName,
}

impl ReceiptsApi {
    /// Serves what `receipts` builds from the log of `origin`.
    #[must_use]
    pub fn new(receipts: ReceiptService, origin: KeyName) -> Self {
        Self { receipts, origin }
    }
}

#[tonic::async_trait]
impl Receipts for ReceiptsApi {
    async fn get_receipt(
        &self,
        request: Request<GetReceiptRequest>,
    ) -> Result<Response<GetReceiptResponse>, Status> {
        let GetReceiptRequest { decision_id, fields } = request.into_inner();
        let decision = decision(&decision_id).map_err(misuse)?;
        let made = self.receipts.receipt(decision, parse_patterns(&fields)?).await?;
        Ok(Response::new(GetReceiptResponse {
            receipt: made.receipt.to_json().into(),
            erased: made.erased.is_some(),
            erased_leaf_index: made.erased.and_then(|at| at.0).map(|index| index.get()),
        }))
    }

    async fn get_decision(
        &self,
        request: Request<GetDecisionRequest>,
    ) -> Result<Response<GetDecisionResponse>, Status> {
        let decision = decision(&request.into_inner().decision_id).map_err(misuse)?;
        let DecisionPlaces { size, entries } = self.receipts.decision(decision, TreeSize::EMPTY).await?;
        let entries = entries.into_iter().map(|(index, entry)| get_decision_response::Entry {
            leaf_index: index.get(),
            kind: u32::try_from(entry.kind.number()).unwrap_or(u32::MAX),
            recorded_at_ms: entry.recorded_at.get(),
            links: entry.links.iter().map(|link| link.get()).collect(),
        });
        Ok(Response::new(GetDecisionResponse {
            decision_id: decision.to_string(),
            origin: self.origin.to_string(),
            entries: entries.collect(),
            tree_size: size.get(),
        }))
    }
}

fn parse_patterns(fields: &[String]) -> Result<Option<Vec<PathPattern>>, Status> {
    if fields.len() > PATTERNS_MAX {
        return Err(status_of(Code::Limit, format!("fields: at most {PATTERNS_MAX} patterns")));
    }
    let patterns = fields.iter().map(|pattern| PathPattern::parse(pattern)).collect::<Result<Vec<_>, _>>();
    let patterns = patterns.map_err(|error| status_of(Code::Misuse, format!("fields: {error}")))?;
    Ok((!patterns.is_empty()).then_some(patterns))
}
