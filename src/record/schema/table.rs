//! The table itself, and a constant for every path without a variable part.

use super::super::FieldPath;
use super::{PathSpec, Shape};

/// See [`super::PATHS`].
pub(super) const PATHS: [PathSpec; 146] = [
    spec("decision/id", Shape::Text),
    spec("decision/schema", Shape::Int),
    spec("decision/tenant", Shape::Text),
    spec("decision/use_case", Shape::Text),
    spec("decision/route", Shape::Text),
    spec("decision/mode", Shape::Text),
    spec("decision/subject", Shape::Text),
    spec("decision/subject/[n]", Shape::Text),
    spec("decision/request_id", Shape::Text),
    spec("decision/packs", Shape::Texts),
    spec("time/received", Shape::Int),
    spec("time/model_started", Shape::Int),
    spec("time/model_ended", Shape::Int),
    spec("time/decided", Shape::Int),
    spec("time/recorded", Shape::Int),
    spec("time/clock_source", Shape::Text),
    spec("time/clock_error_max_ms", Shape::Int),
    spec("time/use_start", Shape::Int),
    spec("time/use_end", Shape::Int),
    spec("caller/workload", Shape::Text),
    spec("caller/principal", Shape::Text),
    spec("caller/on_behalf_of", Shape::Text),
    spec("caller/address", Shape::Text),
    spec("model/name", Shape::Text),
    spec("model/title", Shape::Text),
    spec("model/version", Shape::Text),
    spec("model/version_requested", Shape::Text),
    spec("model/digest", Shape::Digest),
    spec("model/manifest", Shape::Digest),
    spec("model/runtime", Shape::Text),
    spec("model/image_digest", Shape::Text),
    spec("model/config_digest", Shape::Digest),
    spec("model/precision", Shape::Text),
    spec("model/device", Shape::Text),
    spec("model/seed", Shape::Int),
    spec("model/determinism", Shape::Text),
    spec("model/adapters", Shape::Texts),
    spec("model/feature_pipeline", Shape::Text),
    spec("model/threshold", Shape::Any),
    spec("model/policy_version", Shape::Text),
    spec("model/registered", Shape::Bool),
    spec("execution/engine", Shape::Text),
    spec("execution/engine_version", Shape::Text),
    spec("execution/dtype", Shape::Text),
    spec("execution/threads", Shape::Int),
    spec("execution/batch_size", Shape::Int),
    spec("execution/batch_index", Shape::Int),
    spec("execution/padding", Shape::Int),
    spec("execution/decode_mode", Shape::Text),
    spec("execution/libm", Shape::Text),
    spec("execution/fingerprint", Shape::Text),
    spec("reference/[n]/id", Shape::Text),
    spec("reference/[n]/version", Shape::Text),
    spec("reference/[n]/digest", Shape::Digest),
    spec("input/observed", Shape::Text),
    spec("input/raw_digest", Shape::Digest),
    spec("input/compression", Shape::Text),
    spec("input/carried_digest", Shape::Digest),
    spec("input/error", Shape::Text),
    spec("input/tensor/<name>/dtype", Shape::Text),
    spec("input/tensor/<name>/shape", Shape::Ints),
    spec("input/tensor/<name>/digest", Shape::Digest),
    spec("input/feature/<name>", Shape::Any),
    spec("input/feature/<name>/[n]", Shape::Any),
    spec("input/parameter/<name>", Shape::Any),
    spec("input/prompt/[n]", Shape::Text),
    spec("input/attachment/[n]", Shape::Digest),
    spec("output/raw_digest", Shape::Digest),
    spec("output/compression", Shape::Text),
    spec("output/carried_digest", Shape::Digest),
    spec("output/tensor/<name>/dtype", Shape::Text),
    spec("output/tensor/<name>/shape", Shape::Ints),
    spec("output/tensor/<name>/digest", Shape::Digest),
    spec("output/score/<name>", Shape::Float),
    spec("output/score/<name>/[n]", Shape::Float),
    spec("output/label", Shape::Text),
    spec("output/label/[n]", Shape::Text),
    spec("output/text", Shape::Text),
    spec("output/finish_reason", Shape::Text),
    spec("output/chunks", Shape::Int),
    spec("output/truncated", Shape::Bool),
    spec("output/error", Shape::Text),
    spec("outcome/action", Shape::Text),
    spec("outcome/action/[n]", Shape::Text),
    spec("outcome/adverse", Shape::Bool),
    spec("outcome/adverse/[n]", Shape::Bool),
    spec("outcome/amount", Shape::Any),
    spec("outcome/effective_at", Shape::Int),
    spec("outcome/set_by", Shape::Text),
    spec("gate/policy", Shape::Digest),
    spec("gate/effect", Shape::Text),
    spec("gate/rules", Shape::Texts),
    spec("gate/stages", Shape::Texts),
    spec("gate/verdicts", Shape::Texts),
    spec("gate/effects", Shape::Texts),
    spec("gate/reason", Shape::Text),
    spec("gate/error", Shape::Text),
    spec("explanation/method", Shape::Text),
    spec("explanation/version", Shape::Text),
    spec("explanation/baseline_digest", Shape::Digest),
    spec("explanation/reason/[n]/code", Shape::Text),
    spec("explanation/reason/[n]/code/[n]", Shape::Text),
    spec("explanation/reason/[n]/text", Shape::Text),
    spec("explanation/reason/[n]/text/[n]", Shape::Text),
    spec("explanation/reason/[n]/feature", Shape::Text),
    spec("explanation/reason/[n]/feature/[n]", Shape::Text),
    spec("explanation/reason/[n]/contribution", Shape::Float),
    spec("explanation/reason/[n]/contribution/[n]", Shape::Float),
    spec("explanation/reason/[n]/direction", Shape::Text),
    spec("explanation/reason/[n]/direction/[n]", Shape::Text),
    spec("explanation/counterfactual/[n]", Shape::Any),
    spec("review/[n]/reviewer", Shape::Text),
    spec("review/[n]/role", Shape::Text),
    spec("review/[n]/action", Shape::Text),
    spec("review/[n]/reason", Shape::Text),
    spec("review/[n]/at", Shape::Int),
    spec("review/[n]/meaning", Shape::Text),
    spec("notice/[n]/kind", Shape::Text),
    spec("notice/[n]/template_version", Shape::Text),
    spec("notice/[n]/channel", Shape::Text),
    spec("notice/[n]/delivered_at", Shape::Int),
    spec("notice/[n]/digest", Shape::Digest),
    spec("contest/route/url", Shape::Text),
    spec("contest/route/email", Shape::Text),
    spec("contest/route/phone", Shape::Text),
    spec("contest/route/address", Shape::Text),
    spec("contest/route/text", Shape::Text),
    spec("contest/route/language", Shape::Text),
    spec("contest/[n]/received_at", Shape::Int),
    spec("contest/[n]/ground", Shape::Text),
    spec("contest/[n]/outcome", Shape::Text),
    spec("contest/[n]/decided_at", Shape::Int),
    spec("correction/[n]/<name>", Shape::Any),
    spec("opt_out", Shape::Bool),
    spec("privacy/lawful_basis", Shape::Text),
    spec("privacy/purpose", Shape::Text),
    spec("privacy/masked/[n]/pointer", Shape::Text),
    spec("privacy/masked/[n]/reason", Shape::Text),
    spec("privacy/key", Shape::Text),
    spec("privacy/retention_class", Shape::Text),
    spec("privacy/holds", Shape::Texts),
    spec("delivery/mode", Shape::Text),
    spec("delivery/queue_ms", Shape::Int),
    spec("delivery/upstream_status", Shape::Int),
    spec("delivery/gap", Shape::Bool),
    spec("delivery/caller_gone", Shape::Bool),
];

const fn spec(pattern: &'static str, shape: Shape) -> PathSpec {
    PathSpec { pattern, shape }
}

/// `decision/id`: the decision id, as UUID text.
pub const DECISION_ID: FieldPath = FieldPath::known("decision/id");
/// `decision/schema`: version of the path vocabulary.
pub const DECISION_SCHEMA: FieldPath = FieldPath::known("decision/schema");
/// `decision/tenant`: whose decision it is.
pub const DECISION_TENANT: FieldPath = FieldPath::known("decision/tenant");
/// `contest/route/url`: where the person concerned may contest the decision, as an address of the web.
pub const CONTEST_ROUTE_URL: FieldPath = FieldPath::known("contest/route/url");
/// `contest/route/email`: the same as an address for mail.
pub const CONTEST_ROUTE_EMAIL: FieldPath = FieldPath::known("contest/route/email");
/// `contest/route/phone`: the same as a telephone number.
pub const CONTEST_ROUTE_PHONE: FieldPath = FieldPath::known("contest/route/phone");
/// `contest/route/address`: the same as a postal address.
pub const CONTEST_ROUTE_ADDRESS: FieldPath = FieldPath::known("contest/route/address");
/// `contest/route/text`: what the person is told about it.
pub const CONTEST_ROUTE_TEXT: FieldPath = FieldPath::known("contest/route/text");
/// `contest/route/language`: the language of that (BCP 47).
pub const CONTEST_ROUTE_LANGUAGE: FieldPath = FieldPath::known("contest/route/language");
/// `decision/use_case`: Annex III point or sector code.
pub const DECISION_USE_CASE: FieldPath = FieldPath::known("decision/use_case");
/// `decision/route`: name of the configured route.
pub const DECISION_ROUTE: FieldPath = FieldPath::known("decision/route");
/// `decision/mode`: `advisory`, `automated` or what the route says.
pub const DECISION_MODE: FieldPath = FieldPath::known("decision/mode");
/// `decision/subject`: reference to the person, as the caller gave it.
pub const DECISION_SUBJECT: FieldPath = FieldPath::known("decision/subject");
/// `decision/request_id`: id that the caller gave the request.
pub const DECISION_REQUEST_ID: FieldPath = FieldPath::known("decision/request_id");
/// `decision/packs`: the regulation packs of its route, each as name, version and SHA-256 of its file.
pub const DECISION_PACKS: FieldPath = FieldPath::known("decision/packs");
/// `time/received`: when the request was seen.
pub const TIME_RECEIVED: FieldPath = FieldPath::known("time/received");
/// `time/model_started`: when it was handed to the model.
pub const TIME_MODEL_STARTED: FieldPath = FieldPath::known("time/model_started");
/// `time/model_ended`: when the model had answered.
pub const TIME_MODEL_ENDED: FieldPath = FieldPath::known("time/model_ended");
/// `time/decided`: when the outcome stood.
pub const TIME_DECIDED: FieldPath = FieldPath::known("time/decided");
/// `time/recorded`: when the record was made.
pub const TIME_RECORDED: FieldPath = FieldPath::known("time/recorded");
/// `time/clock_source`: which clock these times are from.
pub const TIME_CLOCK_SOURCE: FieldPath = FieldPath::known("time/clock_source");
/// `time/clock_error_max_ms`: how far it may be off.
pub const TIME_CLOCK_ERROR_MAX_MS: FieldPath = FieldPath::known("time/clock_error_max_ms");
/// `time/use_start`: start of the period of use.
pub const TIME_USE_START: FieldPath = FieldPath::known("time/use_start");
/// `time/use_end`: end of the period of use.
pub const TIME_USE_END: FieldPath = FieldPath::known("time/use_end");
/// `caller/workload`: SPIFFE id of the calling workload.
pub const CALLER_WORKLOAD: FieldPath = FieldPath::known("caller/workload");
/// `caller/principal`: who called.
pub const CALLER_PRINCIPAL: FieldPath = FieldPath::known("caller/principal");
/// `caller/on_behalf_of`: for whom.
pub const CALLER_ON_BEHALF_OF: FieldPath = FieldPath::known("caller/on_behalf_of");
/// `caller/address`: from where.
pub const CALLER_ADDRESS: FieldPath = FieldPath::known("caller/address");
/// `model/name`: name the request asked for.
pub const MODEL_NAME: FieldPath = FieldPath::known("model/name");
/// `model/title`: official name, as the configuration gives it.
pub const MODEL_TITLE: FieldPath = FieldPath::known("model/title");
/// `model/version`: version that the response named.
pub const MODEL_VERSION: FieldPath = FieldPath::known("model/version");
/// `model/version_requested`: version that the request named.
pub const MODEL_VERSION_REQUESTED: FieldPath = FieldPath::known("model/version_requested");
/// `model/digest`: SHA-256 of the model artifact.
pub const MODEL_DIGEST: FieldPath = FieldPath::known("model/digest");
/// `model/manifest`: SHA-256 of the list of its files.
pub const MODEL_MANIFEST: FieldPath = FieldPath::known("model/manifest");
/// `model/runtime`: what runs it.
pub const MODEL_RUNTIME: FieldPath = FieldPath::known("model/runtime");
/// `model/image_digest`: digest of the container image.
pub const MODEL_IMAGE_DIGEST: FieldPath = FieldPath::known("model/image_digest");
/// `model/config_digest`: SHA-256 of its configuration.
pub const MODEL_CONFIG_DIGEST: FieldPath = FieldPath::known("model/config_digest");
/// `model/precision`: arithmetic it runs in.
pub const MODEL_PRECISION: FieldPath = FieldPath::known("model/precision");
/// `model/device`: what it runs on.
pub const MODEL_DEVICE: FieldPath = FieldPath::known("model/device");
/// `model/seed`: seed of its random numbers.
pub const MODEL_SEED: FieldPath = FieldPath::known("model/seed");
/// `model/determinism`: what the server says about repeatability.
pub const MODEL_DETERMINISM: FieldPath = FieldPath::known("model/determinism");
/// `model/adapters`: adapters loaded on top of it.
pub const MODEL_ADAPTERS: FieldPath = FieldPath::known("model/adapters");
/// `model/feature_pipeline`: what made its features.
pub const MODEL_FEATURE_PIPELINE: FieldPath = FieldPath::known("model/feature_pipeline");
/// `model/threshold`: threshold that its score is compared with.
pub const MODEL_THRESHOLD: FieldPath = FieldPath::known("model/threshold");
/// `model/policy_version`: version of the rules around it.
pub const MODEL_POLICY_VERSION: FieldPath = FieldPath::known("model/policy_version");
/// `model/registered`: whether the model was the newest that the log registered under the route's name; recorded where a rule asks.
pub const MODEL_REGISTERED: FieldPath = FieldPath::known("model/registered");
/// `execution/engine`: engine that computed.
pub const EXECUTION_ENGINE: FieldPath = FieldPath::known("execution/engine");
/// `execution/engine_version`: its version.
pub const EXECUTION_ENGINE_VERSION: FieldPath = FieldPath::known("execution/engine_version");
/// `execution/dtype`: type it computed in.
pub const EXECUTION_DTYPE: FieldPath = FieldPath::known("execution/dtype");
/// `execution/threads`: threads it used.
pub const EXECUTION_THREADS: FieldPath = FieldPath::known("execution/threads");
/// `execution/batch_size`: requests computed together.
pub const EXECUTION_BATCH_SIZE: FieldPath = FieldPath::known("execution/batch_size");
/// `execution/batch_index`: place of this one among them.
pub const EXECUTION_BATCH_INDEX: FieldPath = FieldPath::known("execution/batch_index");
/// `execution/padding`: elements that only fill up.
pub const EXECUTION_PADDING: FieldPath = FieldPath::known("execution/padding");
/// `execution/decode_mode`: how tokens were chosen.
pub const EXECUTION_DECODE_MODE: FieldPath = FieldPath::known("execution/decode_mode");
/// `execution/libm`: mathematical library.
pub const EXECUTION_LIBM: FieldPath = FieldPath::known("execution/libm");
/// `execution/fingerprint`: what else the bits depend on.
pub const EXECUTION_FINGERPRINT: FieldPath = FieldPath::known("execution/fingerprint");
/// `input/observed`: `true`, `false` or `partial`.
pub const INPUT_OBSERVED: FieldPath = FieldPath::known("input/observed");
/// `input/raw_digest`: SHA-256 of the request's message as it was on the wire, decompressed where it was compressed.
pub const INPUT_RAW_DIGEST: FieldPath = FieldPath::known("input/raw_digest");
/// `input/compression`: how the wire compressed the request.
pub const INPUT_COMPRESSION: FieldPath = FieldPath::known("input/compression");
/// `input/carried_digest`: SHA-256 of the request's message as it was carried, compressed.
pub const INPUT_CARRIED_DIGEST: FieldPath = FieldPath::known("input/carried_digest");
/// `input/error`: what of the request could not be read or mapped.
pub const INPUT_ERROR: FieldPath = FieldPath::known("input/error");
/// `output/raw_digest`: SHA-256 of the response's message as it was on the wire, decompressed where it was compressed.
pub const OUTPUT_RAW_DIGEST: FieldPath = FieldPath::known("output/raw_digest");
/// `output/compression`: how the wire compressed the response.
pub const OUTPUT_COMPRESSION: FieldPath = FieldPath::known("output/compression");
/// `output/carried_digest`: SHA-256 of the response's message as it was carried, compressed.
pub const OUTPUT_CARRIED_DIGEST: FieldPath = FieldPath::known("output/carried_digest");
/// `output/label`: label of the outcome.
pub const OUTPUT_LABEL: FieldPath = FieldPath::known("output/label");
/// `output/text`: text that was generated.
pub const OUTPUT_TEXT: FieldPath = FieldPath::known("output/text");
/// `output/finish_reason`: why generation ended.
pub const OUTPUT_FINISH_REASON: FieldPath = FieldPath::known("output/finish_reason");
/// `output/chunks`: parts it came in.
pub const OUTPUT_CHUNKS: FieldPath = FieldPath::known("output/chunks");
/// `output/truncated`: whether it was cut off.
pub const OUTPUT_TRUNCATED: FieldPath = FieldPath::known("output/truncated");
/// `output/error`: what went wrong, if it did.
pub const OUTPUT_ERROR: FieldPath = FieldPath::known("output/error");
/// `outcome/action`: `approve`, `deny`, `refer`, `counteroffer`, `rank`, `triage` or `score`; `refuse` where the policy gate let no
/// answer out.
pub const OUTCOME_ACTION: FieldPath = FieldPath::known("outcome/action");
/// `outcome/adverse`: whether it is against the person.
pub const OUTCOME_ADVERSE: FieldPath = FieldPath::known("outcome/adverse");
/// `outcome/amount`: amount decided on.
pub const OUTCOME_AMOUNT: FieldPath = FieldPath::known("outcome/amount");
/// `outcome/effective_at`: from when it holds.
pub const OUTCOME_EFFECTIVE_AT: FieldPath = FieldPath::known("outcome/effective_at");
/// `outcome/set_by`: who or what set it.
pub const OUTCOME_SET_BY: FieldPath = FieldPath::known("outcome/set_by");
/// `gate/policy`: SHA-256 of the rules of the policy gate.
pub const GATE_POLICY: FieldPath = FieldPath::known("gate/policy");
/// `gate/effect`: what they did: `allow`, `review` or `refuse`.
pub const GATE_EFFECT: FieldPath = FieldPath::known("gate/effect");
/// `gate/rules`: the names of the rules that were evaluated, in their order; the next three lists have one item for each.
pub const GATE_RULES: FieldPath = FieldPath::known("gate/rules");
/// `gate/stages`: when each was evaluated: `request`, before the model was called, or `answer`, before its answer was released.
pub const GATE_STAGES: FieldPath = FieldPath::known("gate/stages");
/// `gate/verdicts`: how each ended: `true`, `false` or `error`.
pub const GATE_VERDICTS: FieldPath = FieldPath::known("gate/verdicts");
/// `gate/effects`: what each did: `allow`, `review` or `refuse`.
pub const GATE_EFFECTS: FieldPath = FieldPath::known("gate/effects");
/// `gate/reason`: which rules did not hold, and what the route says of them.
pub const GATE_REASON: FieldPath = FieldPath::known("gate/reason");
/// `gate/error`: which rules could not be evaluated, and why.
pub const GATE_ERROR: FieldPath = FieldPath::known("gate/error");
/// `explanation/method`: how the reasons were found.
pub const EXPLANATION_METHOD: FieldPath = FieldPath::known("explanation/method");
/// `explanation/version`: version of that method.
pub const EXPLANATION_VERSION: FieldPath = FieldPath::known("explanation/version");
/// `explanation/baseline_digest`: SHA-256 of what it compares with.
pub const EXPLANATION_BASELINE_DIGEST: FieldPath = FieldPath::known("explanation/baseline_digest");
/// `opt_out`: whether the person opted out.
pub const OPT_OUT: FieldPath = FieldPath::known("opt_out");
/// `privacy/lawful_basis`: ground the processing stands on.
pub const PRIVACY_LAWFUL_BASIS: FieldPath = FieldPath::known("privacy/lawful_basis");
/// `privacy/purpose`: what it is for.
pub const PRIVACY_PURPOSE: FieldPath = FieldPath::known("privacy/purpose");
/// `privacy/key`: name of the key the record is sealed under.
pub const PRIVACY_KEY: FieldPath = FieldPath::known("privacy/key");
/// `privacy/retention_class`: how long it is kept.
pub const PRIVACY_RETENTION_CLASS: FieldPath = FieldPath::known("privacy/retention_class");
/// `privacy/holds`: what forbids erasing it.
pub const PRIVACY_HOLDS: FieldPath = FieldPath::known("privacy/holds");
/// `delivery/mode`: `strict`, `bounded` or `observe`.
pub const DELIVERY_MODE: FieldPath = FieldPath::known("delivery/mode");
/// `delivery/queue_ms`: how long the record waited.
pub const DELIVERY_QUEUE_MS: FieldPath = FieldPath::known("delivery/queue_ms");
/// `delivery/upstream_status`: gRPC status code of the model server.
pub const DELIVERY_UPSTREAM_STATUS: FieldPath = FieldPath::known("delivery/upstream_status");
/// `delivery/gap`: whether a gap entry stands for it.
pub const DELIVERY_GAP: FieldPath = FieldPath::known("delivery/gap");
/// `delivery/caller_gone`: the caller was gone before the answer could be released.
pub const DELIVERY_CALLER_GONE: FieldPath = FieldPath::known("delivery/caller_gone");
