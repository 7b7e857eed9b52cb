//! Decides of each call whether it may be made, by the table.
//!
//! Guarantees: what stands in no row is refused, whoever asks; a token that comes along and does not hold is refused even where a certificate would do,
//! so that nobody acts under a name that was not checked; nothing here waits, and a caller with a certificate takes no lock. No message and no
//! log line names a caller.
//! Does not do: reading bodies. What a gRPC message asks for beyond its method, the service checks ([`Caller`] is in the request's
//! extensions).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use ledgerstone::code::Code;
use ledgerstone::time::UnixMillis;
use opentelemetry::KeyValue;

use super::caller::{Caller, workload_of};
use super::limit::{Limit, Rate};
use super::oidc::{Oidc, OidcConfig, Person, Unknown};
use super::role::{Role, Roles};
use super::rule::{Certificates, Rule, claims};
use super::table::{Open, Port, Row, row};
use crate::metrics::Metrics;
use crate::outbound::http::CaError;
use crate::peer::Peer;

/// What `[access]` says.
#[derive(Clone, Debug, Default)]
pub struct AccessConfig {
    /// Who has which role.
    pub rules: Vec<Rule>,
    /// Whose tokens are taken, if anybody's.
    pub oidc: Option<OidcConfig>,
    /// Whether everybody may read the log.
    pub is_log_public: bool,
    /// How often callers of each role may call, and those without one from each address.
    pub limits: RateLimits,
}

/// How often; none where nothing is said.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimits {
    /// By role, in the order of [`Role::ALL`].
    pub by_role: [Option<Rate>; Role::ALL.len()],
    /// Of each address: calls without a role, and tokens that were not seen before.
    pub public: Option<Rate>,
}

/// Decides.
#[derive(Debug)]
pub struct Guard {
    certificates: Certificates,
    oidc: Option<Arc<Oidc>>,
    is_log_public: bool,
    by_role: [Option<Limit>; Role::ALL.len()],
    public: Option<Limit>,
    refused: [AtomicU64; Reason::ALL.len()],
}

impl Guard {
    /// Decides as `config` says.
    ///
    /// # Errors
    /// [`CaError`] if the certificates of the issuer's address cannot be read.
    pub fn new(config: &AccessConfig) -> Result<Self, CaError> {
        let oidc = config.oidc.clone().map(|oidc| Oidc::new(oidc, claims(&config.rules)).map(Arc::new));
        Ok(Self {
            certificates: Certificates::new(&config.rules),
            oidc: oidc.transpose()?,
            is_log_public: config.is_log_public,
            by_role: config.limits.by_role.map(|rate| rate.map(Limit::new)),
            public: config.limits.public.map(Limit::new),
            refused: Default::default(),
        })
    }

    /// Whose tokens are taken.
    #[must_use]
    pub fn oidc(&self) -> Option<&Arc<Oidc>> {
        self.oidc.as_ref()
    }

    /// Adds what was refused to `metrics`.
    pub fn measure(self: &Arc<Self>, metrics: &Metrics) {
        let guard = Arc::downgrade(self);
        let read = move || {
            let counts =
                |guard: Arc<Self>| guard.refused.each_ref().map(|count| count.load(Ordering::Relaxed));
            let counts = guard.upgrade().map(counts).unwrap_or_default();
            let series = Reason::ALL.into_iter().zip(counts);
            series.map(|(reason, count)| (vec![KeyValue::new("reason", reason.as_str())], count)).collect()
        };
        metrics.counted_series(
            "ledgerstone_access_refused",
            "Calls refused before they were made, by reason",
            read,
        );
    }

    /// Whether a call of `method` (`GRPC` for gRPC) and `path` on `port` may be made now.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub fn check(
        &self,
        port: Port,
        (method, path): (&str, &str),
        extensions: &Extensions,
        headers: &HeaderMap,
    ) -> Result<Caller, Refusal> {
        self.decide(port, (method, path), extensions, headers).inspect_err(|refusal| {
            if let Some(count) = self.refused.get(refusal.reason as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    fn decide(
        &self,
        port: Port,
        (method, path): (&str, &str),
        extensions: &Extensions,
        headers: &HeaderMap,
    ) -> Result<Caller, Refusal> {
        let Some(row) = row(port, method, path) else { return Err(Refusal::new(Reason::NoRow)) };
        let peer = extensions.get::<Peer>();
        let from = peer.and_then(Peer::ip);
        // Probes come from addresses that others share, and are cheaper answered than refused.
        if row.open == Open::Always {
            return Ok(Caller::default());
        }
        let by_certificate = peer.and_then(|peer| peer.certificate.as_ref());
        let by_certificate = by_certificate.map_or(Roles::NONE, |shown| self.certificates.roles(shown));
        // Links are opened in browsers, and a link needs nobody's name.
        let person = if port == Port::Links { None } else { self.person(from, headers)? };
        let principal = person.as_ref().map(|person| Arc::clone(&person.principal));
        let mut roles = by_certificate.or(person.map_or(Roles::NONE, |person| person.roles));
        if port == Port::Links {
            // The link itself says that it is the applicant's; the listener looks it up.
            roles = Roles::of(&[Role::Applicant]);
        }
        let Some(by) = row.roles.and(roles).iter().next() else {
            if row.open == Open::PublicLog && self.is_log_public {
                return self.open_to_all(row, from);
            }
            let is_known = principal.is_some() || peer.is_some_and(|peer| peer.certificate.is_some());
            let reason = if is_known { Reason::Role } else { Reason::Nobody };
            return Err(Refusal { needed: row.roles, ..Refusal::new(reason) });
        };
        let caller = Caller { workload: peer.and_then(workload_of), principal, roles, by: Some(by) };
        let limit = self.by_role.get(by as usize).and_then(Option::as_ref);
        if let Some(limit) = limit {
            let who = Identity::of(&caller, from);
            limit.take(who, Instant::now()).map_err(|wait| Refusal::limited(wait, row))?;
        }
        Ok(caller)
    }

    fn open_to_all(&self, row: &Row, from: Option<IpAddr>) -> Result<Caller, Refusal> {
        if let Some(limit) = &self.public {
            limit.take(network(from), Instant::now()).map_err(|wait| Refusal::limited(wait, row))?;
        }
        Ok(Caller::default())
    }

    /// Whose token came along; none where there is none, or tokens are not taken here.
    fn person(&self, from: Option<IpAddr>, headers: &HeaderMap) -> Result<Option<Person>, Refusal> {
        let Some(oidc) = &self.oidc else { return Ok(None) };
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let Some(field) = fields.next() else { return Ok(None) };
        if fields.next().is_some() {
            return Err(Refusal::new(Reason::Token));
        }
        let text = field.to_str().map_err(|_| Refusal::new(Reason::Token))?;
        let Some((scheme, token)) = text.split_once(' ') else { return Ok(None) };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(None);
        }
        let (token, now) = (token.trim_start_matches(' '), now());
        if let Some(person) = oidc.known(token, now) {
            return Ok(Some(person));
        }
        // Checking a signature is the most that somebody without a name can have done here.
        if let Some(limit) = &self.public {
            let refused = |wait| Refusal { wait: Some(wait), ..Refusal::new(Reason::Rate) };
            limit.take(network(from), Instant::now()).map_err(refused)?;
        }
        match oidc.person(token, now) {
            Ok(person) => Ok(Some(person)),
            Err(unknown) => {
                let reason = if unknown == Unknown::NoKeys { Reason::NoKeys } else { Reason::Token };
                Err(Refusal { token: Some(unknown), ..Refusal::new(reason) })
            }
        }
    }
}

/// Whom a limit is for.
#[derive(Hash)]
enum Identity<'a> {
    Person(&'a str),
    Workload(&'a str),
    Network(u128),
}

impl<'a> Identity<'a> {
    /// The person, else the workload, else the network.
    fn of(caller: &'a Caller, from: Option<IpAddr>) -> Self {
        match (&caller.principal, &caller.workload) {
            (Some(principal), _) => Self::Person(principal),
            (None, Some(workload)) => Self::Workload(workload),
            (None, None) => Self::Network(network(from)),
        }
    }
}

/// An address, as far as it is one customer's: of IPv6 the first 64 bits (RFC 6177).
fn network(address: Option<IpAddr>) -> u128 {
    match address {
        None => 0,
        Some(IpAddr::V4(address)) => address.to_ipv6_mapped().to_bits(),
        Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.to_ipv6_mapped().to_bits(),
            None => address.to_bits() >> 64 << 64,
        },
    }
}

fn now() -> UnixMillis {
    crate::driver::system_clock()
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It stands in no row.
    NoRow,
    /// Nobody said who calls.
    Nobody,
    /// A token that does not hold.
    Token,
    /// The keys of the issuer are not to be had.
    NoKeys,
    /// The caller has none of the roles.
    Role,
    /// Too often.
    Rate,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [Self::NoRow, Self::Nobody, Self::Token, Self::NoKeys, Self::Role, Self::Rate];

    /// The reason as metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRow => "no-row",
            Self::Nobody => "nobody",
            Self::Token => "token",
            Self::NoKeys => "no-keys",
            Self::Role => "role",
            Self::Rate => "rate",
        }
    }
}

/// A call that is not made.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Who could call.
    pub needed: Roles,
    /// What is wrong with the token.
    pub token: Option<Unknown>,
    /// When to try again.
    pub wait: Option<Duration>,
    /// Whether it was a decision that somebody could have had made: it is counted in a gap entry.
    pub is_decision: bool,
}

impl Refusal {
    const fn new(reason: Reason) -> Self {
        Self { reason, needed: Roles::NONE, token: None, wait: None, is_decision: false }
    }

    fn limited(wait: Duration, row: &Row) -> Self {
        Self { wait: Some(wait), is_decision: row.is_decision, ..Self::new(Reason::Rate) }
    }

    /// What the caller must do.
    #[must_use]
    pub fn message(&self) -> String {
        match (self.reason, self.token) {
            (Reason::NoRow, _) => "there is no such method for anybody; docs/access.md lists them".to_owned(),
            (Reason::Nobody, _) => {
                format!("this is for the role {}: show a certificate or a token", self.needed)
            }
            (Reason::Role, _) => format!("this is for the role {}, which you do not have", self.needed),
            (Reason::Rate, _) => "too many calls; wait as long as retry-after says".to_owned(),
            (_, Some(unknown)) => unknown.to_string(),
            (_, None) => "one Authorization header with one token, and no other".to_owned(),
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self.reason {
            Reason::NoRow | Reason::Role => Code::Misuse,
            Reason::Nobody => Code::Untrusted,
            Reason::Token => match self.token {
                Some(Unknown::Token(error)) => error.code(),
                _ => Code::Malformed,
            },
            Reason::NoKeys => Code::Unavailable,
            Reason::Rate => Code::Limit,
        }
    }
}
