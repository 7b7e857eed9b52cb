//! What a person must know about a lane, each with what to do.

use crate::code::Code;
use crate::hash::Hash;
use crate::merkle::TreeSize;
use crate::time::UnixMillis;

/// Why a lane does not go on, or soon will not. An alarm is given out when it begins and stands until its cause is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Alarm {
    /// The journal could not be written. The lane has stopped until it is started again.
    #[error("the lane's journal could not be written: make room or grant access, then restart")]
    Journal,
    /// The log is smaller than what was fixed outside: it is a restored older backup, or not this log.
    #[error(
        "{anchored} entries of the log are fixed outside, but it has only {log}: an older backup was restored; \
         stop, and bring back the newer log"
    )]
    LogBehind {
        /// Leaves that are fixed outside.
        anchored: TreeSize,
        /// Leaves of the log.
        log: TreeSize,
    },
    /// Building a statement failed.
    #[error("statement {seq} could not be built: see the log line before this one")]
    Build {
        /// Its number.
        seq: u64,
    },
    /// What was built does not continue the chain.
    #[error(
        "the stored statement {seq} does not continue the lane's chain: it was changed, or belongs to another lane"
    )]
    WrongStatement {
        /// Its number.
        seq: u64,
    },
    /// Nobody answers.
    #[error("no endpoint of the lane answers since {since}: statements are coalesced until one does")]
    Unreachable {
        /// Since when.
        since: UnixMillis,
    },
    /// The endpoints contradict each other.
    #[error("the lane's endpoints contradict each other since {since}: find out which one is wrong")]
    Disagree {
        /// Since when.
        since: UnixMillis,
    },
    /// The endpoints serve another chain.
    #[error("the endpoints serve chain {found}, not {expected}: correct the endpoints or the chain id")]
    ChainId {
        /// As configured.
        expected: u64,
        /// As observed.
        found: u64,
    },
    /// At the contract's address is other code, or none.
    #[error(
        "the code at the contract's address is not AnchorHead's: correct the address or deploy the contract"
    )]
    Code,
    /// The contract expects another key.
    #[error(
        "the contract accepts another key for this log than the lane's: correct the key, or rotate it back"
    )]
    Key,
    /// The contract's head is ahead of everything this lane made.
    #[error(
        "the contract holds statement {found} of this log, the lane made only {made}: \
         a second sidecar anchors this log, the lane's files are an old backup, or the anchor key is stolen"
    )]
    HeadAhead {
        /// What the contract holds.
        found: u64,
        /// The lane's newest.
        made: u64,
    },
    /// The contract's head is a statement that this lane did not make.
    #[error(
        "the contract holds another statement {seq} ({found}) than the lane's: \
         a second sidecar anchors this log, or the anchor key is stolen"
    )]
    HeadForeign {
        /// Its number.
        seq: u64,
        /// Its hash.
        found: Hash,
    },
    /// The chain no longer holds what it showed as final, or the endpoints show an old state.
    #[error(
        "the chain shows statement {found}, but {confirmed} was final: its endpoints are stale, or finality broke"
    )]
    HeadBehind {
        /// What the chain shows.
        found: u64,
        /// What was final.
        confirmed: u64,
    },
    /// A nonce that cannot be.
    #[error(
        "the endpoints give nonce {found} where {expected} or a little more can be: they are stale or wrong"
    )]
    Nonce {
        /// What they give.
        found: u64,
        /// The lowest that can be.
        expected: u64,
    },
    /// A transaction would cost more than the cap.
    #[error("gas costs {needed} wei, more than the cap of {cap}: wait, or raise the cap")]
    FeeCap {
        /// Wei per gas that would be needed.
        needed: u128,
        /// Wei per gas that may be paid.
        cap: u128,
    },
    /// The day's gas is spent.
    #[error("the day's gas budget of {budget} is spent: wait until the next UTC day, or raise it")]
    GasBudget {
        /// Gas units a day.
        budget: u64,
    },
    /// The account will soon be empty.
    #[error("the anchor key's balance is {balance} wei, below {floor}: top it up")]
    BalanceLow {
        /// Wei.
        balance: u128,
        /// The configured floor, wei.
        floor: u128,
    },
    /// The account cannot pay the next transaction.
    #[error("the anchor key's balance of {balance} wei does not pay a transaction of {needed}: top it up")]
    BalanceEmpty {
        /// Wei.
        balance: u128,
        /// Wei.
        needed: u128,
    },
    /// The key gave no signature.
    #[error("the anchor key gave no signature: see that the key's device or file can be reached")]
    Signing,
    /// Nobody takes the transaction.
    #[error("the endpoints refuse the transaction of statement {seq}: see the log line before this one")]
    Refused {
        /// The statement's number.
        seq: u64,
    },
    /// So many transactions were signed for one statement that something is wrong.
    #[error(
        "{attempts} transactions were signed for statement {seq}: no further one is; find out why none is mined"
    )]
    Attempts {
        /// The statement's number.
        seq: u64,
        /// How many.
        attempts: usize,
    },
    /// The proof could not be captured yet.
    #[error(
        "the proof of statement {seq} could not be captured yet: an endpoint must serve eth_getProof, and the beacon node, where there is one, must follow the chain"
    )]
    Capture {
        /// The statement's number.
        seq: u64,
    },
    /// The log does not take the lane's entries.
    #[error("the log does not take the entry of statement {seq}: no further statement is made until it does")]
    Append {
        /// The statement's number.
        seq: u64,
    },
    /// An authority or the calendars did not take a statement.
    #[error(
        "statement {seq} is not taken since {since}: see that the authority or the calendars can be reached"
    )]
    NotAccepted {
        /// The statement's number.
        seq: u64,
        /// Since when.
        since: UnixMillis,
    },
    /// A proof still depends on its calendars.
    #[error(
        "the proof of statement {seq} waits for Bitcoin since {since}: its calendars may be gone, it is sent to all again"
    )]
    NotUpgraded {
        /// The statement's number.
        seq: u64,
        /// Since when.
        since: UnixMillis,
    },
    /// Too many proofs wait for their upgrade.
    #[error("{pending} proofs wait for Bitcoin: no further statement is made until some stand on their own")]
    PendingFull {
        /// How many.
        pending: usize,
    },
}

impl Alarm {
    /// A stable word for metrics, log lines and SIEM events.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::LogBehind { .. } => "log_behind",
            Self::Build { .. } => "build",
            Self::WrongStatement { .. } => "wrong_statement",
            Self::Unreachable { .. } => "unreachable",
            Self::Disagree { .. } => "disagree",
            Self::ChainId { .. } => "chain_id",
            Self::Code => "code",
            Self::Key => "key",
            Self::HeadAhead { .. } => "head_ahead",
            Self::HeadForeign { .. } => "head_foreign",
            Self::HeadBehind { .. } => "head_behind",
            Self::Nonce { .. } => "nonce",
            Self::FeeCap { .. } => "fee_cap",
            Self::GasBudget { .. } => "gas_budget",
            Self::BalanceLow { .. } => "balance_low",
            Self::BalanceEmpty { .. } => "balance_empty",
            Self::Signing => "signing",
            Self::Refused { .. } => "refused",
            Self::Attempts { .. } => "attempts",
            Self::Capture { .. } => "capture",
            Self::Append { .. } => "append",
            Self::NotAccepted { .. } => "not_accepted",
            Self::NotUpgraded { .. } => "not_upgraded",
            Self::PendingFull { .. } => "pending_full",
        }
    }

    /// What the operator must do.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::LogBehind { .. }
            | Self::WrongStatement { .. }
            | Self::HeadAhead { .. }
            | Self::HeadForeign { .. }
            | Self::HeadBehind { .. }
            | Self::Nonce { .. }
            | Self::Disagree { .. } => Code::Inconsistent,
            Self::ChainId { .. } | Self::Code | Self::Key => Code::Untrusted,
            Self::FeeCap { .. }
            | Self::GasBudget { .. }
            | Self::Attempts { .. }
            | Self::PendingFull { .. } => Code::Limit,
            _ => Code::Unavailable,
        }
    }
}

/// The alarms that stand, at most one of each kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarms {
    standing: Vec<Alarm>,
}

impl Alarms {
    /// Lets `alarm` stand; true if none of its kind stood before.
    pub(super) fn raise(&mut self, alarm: Alarm) -> bool {
        match self.standing.iter_mut().find(|standing| standing.as_str() == alarm.as_str()) {
            Some(standing) => {
                *standing = alarm;
                false
            }
            None => {
                self.standing.push(alarm);
                true
            }
        }
    }

    /// Ends every alarm whose word `ended` names.
    pub(super) fn end(&mut self, ended: impl Fn(&Alarm) -> bool) {
        self.standing.retain(|standing| !ended(standing));
    }

    /// Those that stand, in the order in which they began.
    pub(super) fn standing(&self) -> &[Alarm] {
        &self.standing
    }
}
