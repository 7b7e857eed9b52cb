//! The one table of what a SIEM is told: names, severities, classes. Code, documentation and tests read it here.

use core::fmt;

use crate::entry::Kind;

/// How bad it is, with the numbers of OCSF's `severity_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// What happens all day.
    Informational = 1,
    /// Worth a look some day.
    Low = 2,
    /// Worth a look today.
    Medium = 3,
    /// Somebody must look now.
    High = 4,
    /// What was promised no longer holds.
    Critical = 5,
}

impl Severity {
    /// OCSF's `severity_id`.
    #[must_use]
    pub const fn ocsf(self) -> u64 {
        self as u64
    }

    /// CEF's and LEEF's severity, 1 to 10.
    #[must_use]
    pub const fn of_ten(self) -> u64 {
        match self {
            Self::Informational => 1,
            Self::Low => 3,
            Self::Medium => 5,
            Self::High => 8,
            Self::Critical => 10,
        }
    }

    /// Severity of RFC 5424, table 2.
    #[must_use]
    pub const fn syslog(self) -> u64 {
        match self {
            Self::Informational => 6,
            Self::Low => 5,
            Self::Medium => 4,
            Self::High => 2,
            Self::Critical => 1,
        }
    }

    /// `SeverityNumber` and its text of OpenTelemetry's log data model.
    #[must_use]
    pub const fn otlp(self) -> (u8, &'static str) {
        match self {
            Self::Informational => (9, "INFO"),
            Self::Low => (10, "INFO2"),
            Self::Medium => (13, "WARN"),
            Self::High => (17, "ERROR"),
            Self::Critical => (21, "FATAL"),
        }
    }

    /// The severity as OCSF captions it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

/// OCSF's class and, within it, activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// API Activity, 6003.
    Api(Activity),
    /// Detection Finding, 2004, always created.
    Finding,
    /// Application Lifecycle, 6002.
    Lifecycle(Activity),
}

/// OCSF's activity within a class: its number and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// `activity_id`; 99 where OCSF has none that fits.
    pub id: u64,
    /// `activity_name`.
    pub name: &'static str,
}

const fn activity(id: u64, name: &'static str) -> Activity {
    Activity { id, name }
}

impl Class {
    /// `class_uid`.
    #[must_use]
    pub const fn uid(self) -> u64 {
        match self {
            Self::Api(_) => 6003,
            Self::Finding => 2004,
            Self::Lifecycle(_) => 6002,
        }
    }

    /// The class as OCSF captions it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api(_) => "API Activity",
            Self::Finding => "Detection Finding",
            Self::Lifecycle(_) => "Application Lifecycle",
        }
    }

    /// What is done.
    #[must_use]
    pub const fn activity(self) -> Activity {
        match self {
            Self::Api(activity) | Self::Lifecycle(activity) => activity,
            Self::Finding => activity(1, "Create"),
        }
    }
}

/// The table: what each is, its name, severity, class, and its title for readers.
macro_rules! events {
    ($($(#[$doc:meta])+ $kind:ident = $name:literal, $severity:ident, $class:expr, $title:literal;)+) => {
        /// What an event tells. Its name is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])+ $kind,)+
        }

        impl EventKind {
            /// Every kind, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name, at most 32 characters of `a-z . _`, because it is a MSGID of RFC 5424 too.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$kind => Severity::$severity,)+
                }
            }

            /// Which class of OCSF it is.
            #[must_use]
            pub const fn class(self) -> Class {
                match self {
                    $(Self::$kind => $class,)+
                }
            }

            /// What happened, one clause without a full stop.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title,)+
                }
            }
        }
    };
}

use Class::{Api, Finding, Lifecycle};

events! {
    /// A start entry.
    SessionStarted = "session.started", Informational, Lifecycle(activity(3, "Start")), "A recorder started";
    /// A stop entry.
    SessionStopped = "session.stopped", Informational, Lifecycle(activity(4, "Stop")), "A recorder stopped in order";
    /// A heartbeat.
    SessionAlive = "session.alive", Informational, Lifecycle(activity(99, "Heartbeat")), "A recorder is alive";
    /// A model entry.
    ModelRegistered = "model.registered", Low, Api(activity(1, "Create")), "A model came into use";
    /// A policy entry.
    PolicyRegistered = "policy.registered", Low, Api(activity(1, "Create")), "A policy came into force";
    /// A roster entry.
    RosterChanged = "roster.changed", Medium, Api(activity(3, "Update")), "Who may do what was changed";
    /// A decision entry.
    DecisionRecorded = "decision.recorded", Informational, Api(activity(99, "Decide")), "A decision was recorded";
    /// An outcome entry.
    OutcomeRecorded = "outcome.recorded", Informational, Api(activity(3, "Update")), "The outcome of a decision was recorded";
    /// An explanation entry.
    ExplanationRecorded = "explanation.recorded", Informational, Api(activity(3, "Update")), "Reasons of a decision were recorded";
    /// A review entry.
    ReviewRecorded = "review.recorded", Informational, Api(activity(3, "Update")), "A person looked at a decision";
    /// A notice entry.
    NoticeRecorded = "notice.recorded", Informational, Api(activity(3, "Update")), "A person was told about a decision";
    /// A contest entry.
    ContestRecorded = "contest.recorded", Informational, Api(activity(3, "Update")), "A person objected to a decision";
    /// A correction entry.
    CorrectionRecorded = "correction.recorded", Informational, Api(activity(3, "Update")), "A decision was put right";
    /// A hold.
    HoldPlaced = "hold.placed", Low, Api(activity(1, "Create")), "Records may not be erased";
    /// A release.
    HoldReleased = "hold.released", Low, Api(activity(4, "Delete")), "A hold on records ended";
    /// An anchor entry.
    AnchorProved = "anchor.proved", Informational, Api(activity(99, "Anchor")), "The log was fixed outside";
    /// A gap entry.
    Gap = "alert.gap", High, Finding, "Requests were seen and not recorded";
    /// A key entry, or an alert that a key was used.
    KeyUse = "alert.key_use", Low, Finding, "A key of the operator came into use";
    /// An erasure entry.
    Erasure = "alert.erasure", Medium, Finding, "An erasure was carried out or refused";
    /// An access entry.
    SealedRead = "alert.sealed_read", Low, Finding, "Sealed records were opened";
    /// The log or what derives from it was changed.
    Tamper = "alert.tamper", Critical, Finding, "The log does not hold together";
    /// Two histories were signed.
    SplitView = "alert.split_view", Critical, Finding, "The log shows two histories";
    /// The log is older than what is known outside.
    RollbackRefused = "alert.rollback_refused", Critical, Finding, "The log is older than what is known outside, and signing was refused";
    /// The log was not fixed outside in time.
    AnchorLate = "alert.anchor_late", High, Finding, "The log was not fixed outside in time";
    /// A sink does not take events.
    SinkLate = "alert.sink_late", Medium, Finding, "A sink is behind the log";
    /// A decision by a model that the log does not register.
    UnregisteredModel = "alert.unregistered_model", High, Finding, "A model decided that is not registered";
    /// Answers go out under a weaker promise.
    ModeDowngrade = "alert.mode_downgrade", High, Finding, "Decisions are recorded under a weaker promise";
    /// A rule refused a decision.
    PolicyRefusal = "alert.policy_refusal", Medium, Finding, "A rule refused a decision";
    /// Somebody tries out the export.
    Test = "alert.test", Informational, Finding, "TEST of the export: nothing happened";
}

impl EventKind {
    /// What entries of this kind tell.
    #[must_use]
    pub const fn of_entry(kind: Kind) -> Self {
        match kind {
            Kind::Start => Self::SessionStarted,
            Kind::Stop => Self::SessionStopped,
            Kind::Heartbeat => Self::SessionAlive,
            Kind::Gap => Self::Gap,
            Kind::Model => Self::ModelRegistered,
            Kind::Policy => Self::PolicyRegistered,
            Kind::Key => Self::KeyUse,
            Kind::Roster => Self::RosterChanged,
            Kind::Decision => Self::DecisionRecorded,
            Kind::Outcome => Self::OutcomeRecorded,
            Kind::Explanation => Self::ExplanationRecorded,
            Kind::Review => Self::ReviewRecorded,
            Kind::Notice => Self::NoticeRecorded,
            Kind::Contest => Self::ContestRecorded,
            Kind::Correction => Self::CorrectionRecorded,
            Kind::Erasure => Self::Erasure,
            Kind::Hold => Self::HoldPlaced,
            Kind::Release => Self::HoldReleased,
            Kind::Anchor => Self::AnchorProved,
            Kind::Access => Self::SealedRead,
        }
    }

    /// Whether somebody is to be told: alerts are the Detection Findings.
    #[must_use]
    pub const fn is_alert(self) -> bool {
        matches!(self.class(), Finding)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
