//! Where a call stands in its caller's trace: read from the metadata of the call, and written for the model server.
//!
//! Guarantees: metadata that makes no sense, or stands there twice, counts as absent; what the model server is told is in every
//! format that the caller used, and in W3C Trace Context where the caller used none; `tracestate` and `baggage` are not read, and
//! pass as they came. Implements W3C Trace Context Level 2 (`traceparent`) and the B3 propagation of Zipkin, single and multiple
//! header. Does not do: deciding what is recorded.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The flags of W3C Trace Context Level 2 that have a meaning: sampled, and that the trace id is random.
const FLAGS: u8 = 0b11;
const RANDOM: u8 = 0b10;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// What a caller says of its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The caller's span, if it named one.
    pub parent: Option<Parent>,
    /// Whether the caller has its trace recorded; not said where it leaves that to others.
    pub sampled: Option<bool>,
    formats: Formats,
}

/// A span of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    flags: u8,
}

/// In which formats the caller wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Formats {
    w3c: bool,
    single: bool,
    multiple: bool,
}

impl Caller {
    /// Reads the metadata of a call. Where several formats are there, W3C Trace Context wins, then the single header of B3.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let w3c = only(headers, &TRACEPARENT).and_then(traceparent);
        let single = only(headers, &B3).and_then(b3);
        let multiple = b3_headers(headers);
        let formats = Formats { w3c: w3c.is_some(), single: single.is_some(), multiple: multiple.is_some() };
        let (parent, sampled) = w3c.or(single).or(multiple).unwrap_or_default();
        Self { parent, sampled, formats }
    }

    /// The caller's span, as a parent for others; nothing where it named none.
    #[must_use]
    pub fn remote(&self) -> Option<SpanContext> {
        let Parent { trace, span, flags } = self.parent?;
        Some(SpanContext::new(trace, span, TraceFlags::new(flags), true, TraceState::NONE))
    }

    /// Tells the model server that `span` calls it, which lies below `below`.
    pub fn write(&self, headers: &mut HeaderMap, span: &SpanContext, below: SpanId) {
        let (trace, id) = (span.trace_id(), span.span_id());
        let Formats { w3c, single, multiple } = self.formats;
        let sampled = if span.is_sampled() { "1" } else { "0" };
        if w3c || !(single || multiple) {
            // Section 3.2.2.5.2: whoever begins a trace under a random id says so, whoever goes on with one passes on what was said.
            let random = if self.parent.is_none() { RANDOM } else { 0 };
            let flags = (span.trace_flags().to_u8() & FLAGS) | random;
            put(headers, TRACEPARENT, &format!("00-{trace}-{id}-{flags:02x}"));
        }
        if !w3c {
            // It belongs to a traceparent that is not there, or makes no sense (section 3.3.1.1).
            headers.remove(TRACESTATE);
        }
        if single {
            put(headers, B3, &format!("{trace}-{id}-{sampled}-{below}"));
        }
        if multiple {
            put(headers, B3_TRACE_ID, &trace.to_string());
            put(headers, B3_SPAN_ID, &id.to_string());
            put(headers, B3_PARENT_SPAN_ID, &below.to_string());
            put(headers, B3_SAMPLED, sampled);
        }
    }
}

/// Reads metadata that stands as `name: value`, a line each, writes what a model server would be told, and checks that it reads the same
/// trace. Says whether the caller named a span. For fuzzing.
#[doc(hidden)]
#[must_use]
pub fn check_metadata(bytes: &[u8]) -> bool {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts.next().and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());
        if let (Some(name), Some(value)) = (name, value) {
            _ = headers.try_append(name, value);
        }
    }
    let caller = Caller::read(&headers);
    let Some(parent) = caller.parent else { return false };
    let ours = SpanContext::new(
        parent.trace,
        SpanId::from_bytes([1; 8]),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    caller.write(&mut headers, &ours, parent.span);
    let told = Caller::read(&headers);
    assert_eq!(told.parent.map(|parent| (parent.trace, parent.span)), Some((parent.trace, ours.span_id())));
    assert_eq!((told.sampled, told.formats), (Some(true), caller.formats));
    true
}

/// What was read: the caller's span, and whether its trace is recorded.
type Said = (Option<Parent>, Option<bool>);

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The value of a header that stands there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Section 3.2: `version-traceid-parentid-flags`; what follows that in a version after 00 is not read.
fn traceparent(text: &str) -> Option<Said> {
    let mut parts = text.split('-');
    let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let (version, flags) = (octet(version)?, octet(flags)?);
    if version == 0xff || (version == 0 && parts.next().is_some()) {
        return None;
    }
    let parent = Parent { flags: flags & FLAGS, ..parent(trace, span, 32)? };
    Some((Some(parent), Some(flags & 1 == 1)))
}

/// `traceid-spanid[-sampled[-parentspanid]]`, or what is sampled alone.
fn b3(text: &str) -> Option<Said> {
    if let Some(sampled) = b3_sampled(text) {
        return Some((None, Some(sampled)));
    }
    let mut parts = text.split('-');
    let span = b3_parent(parts.next()?, parts.next()?)?;
    let sampled = parts.next().map(|sampled| b3_sampled(sampled).ok_or(())).transpose().ok()?;
    let is_whole = parts.next().is_none_or(|above| hex(above, 16).is_some()) && parts.next().is_none();
    is_whole.then_some((Some(with_flags(span, sampled)), sampled))
}

fn b3_headers(headers: &HeaderMap) -> Option<Said> {
    let is_there = |name: &HeaderName| headers.contains_key(name);
    if !is_there(&B3_TRACE_ID) && !is_there(&B3_SAMPLED) && !is_there(&B3_FLAGS) {
        return None;
    }
    // Debug says to record, whatever else is said.
    let debug = only(headers, &B3_FLAGS).filter(|flags| *flags == "1").map(|_| true);
    let sampled = match only(headers, &B3_SAMPLED) {
        // Old tracers wrote the words.
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(text) if text != "d" => Some(b3_sampled(text)?),
        Some(_) => return None,
        None if is_there(&B3_SAMPLED) => return None,
        None => None,
    };
    let sampled = debug.or(sampled);
    if !is_there(&B3_TRACE_ID) {
        return sampled.map(|sampled| (None, Some(sampled)));
    }
    let span = b3_parent(only(headers, &B3_TRACE_ID)?, only(headers, &B3_SPAN_ID)?)?;
    Some((Some(with_flags(span, sampled)), sampled))
}

fn with_flags(parent: Parent, sampled: Option<bool>) -> Parent {
    Parent { flags: u8::from(sampled == Some(true)), ..parent }
}

/// `d` stands for debug, which is recorded.
fn b3_sampled(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" | "d" => Some(true),
        _ => None,
    }
}

/// A trace id of B3 has 128 bits or 64.
fn b3_parent(trace: &str, span: &str) -> Option<Parent> {
    parent(trace, span, trace.len().clamp(16, 32)).filter(|_| [16, 32].contains(&trace.len()))
}

fn parent(trace: &str, span: &str, trace_digits: usize) -> Option<Parent> {
    let trace = TraceId::from_bytes(hex(trace, trace_digits)?.to_be_bytes());
    let span = u64::try_from(hex(span, 16)?).ok()?;
    let span = SpanId::from_bytes(span.to_be_bytes());
    let is_valid = trace != TraceId::INVALID && span != SpanId::INVALID;
    is_valid.then_some(Parent { trace, span, flags: 0 })
}

/// Exactly `digits` lower-case hexadecimal digits, 32 at most.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    (text.len() == digits && is_hex).then(|| u128::from_str_radix(text, 16).ok())?
}

fn octet(text: &str) -> Option<u8> {
    u8::try_from(hex(text, 2)?).ok()
}

#[cfg(test)]
mod tests;
