//! The model that an answer itself declares, in a parameter that the route names.
//!
//! Guarantees: a declared digest is what is recorded, because the model server knows what it loaded; one that differs from
//! what is served from disk is counted, and said once for each digest. Does not do: believing free text, which is recorded as a
//! problem of the output.

use std::sync::{Arc, Mutex, PoisonError};

use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::Hash;
use ledgerstone::proto::inference::ModelInferResponse;

use super::route::Route;
use crate::metrics::Metrics;
use crate::models::Identity;
use ledgerstone::oip::parameter_text;

/// What stands in the record where a declaration cannot be read.
const NO_DIGEST: &str = "the parameter that declares the model holds no SHA-256";

/// The digest that was last said to differ, so that a log line is not written for each decision.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Option<Hash>>>);

impl Told {
    /// Whether `digest` is another one than the last.
    fn is_new(&self, digest: Hash) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.replace(digest) != Some(digest)
    }
}

/// What names the model behind `answer`, and what is wrong with how the answer declares it.
pub(super) fn identity(
    route: &Route,
    answer: Option<&ModelInferResponse>,
    metrics: &Metrics,
) -> (Option<Identity>, Option<&'static str>) {
    let served = route.identity();
    let digest = match declared(route, answer) {
        None => return (served, None),
        Some(None) => return (served, Some(NO_DIGEST)),
        Some(Some(digest)) => digest,
    };
    if let Some(served) = served.filter(|served| served.digest != digest) {
        metrics.model_declared_other(route.name());
        if route.told().is_new(digest) {
            let (route, on_disk) = (route.name(), served.digest);
            tracing::warn!(route, declared = %digest, %on_disk, "the model server declares another model");
        }
    }
    let manifest = served.filter(|served| served.digest == digest).and_then(|served| served.manifest);
    (Some(Identity { digest, manifest }), None)
}

/// The digest that `answer` declares; inside, nothing where what it declares is none.
#[expect(clippy::option_option, reason = "to declare nothing and to declare no digest are two things")]
fn declared(route: &Route, answer: Option<&ModelInferResponse>) -> Option<Option<Hash>> {
    let parameter = route.config().model.declared.as_ref();
    let value = parameter.and_then(|name| answer?.parameters.get(name))?;
    Some(parameter_text(value).and_then(|text| sha256(&text)))
}

/// The digest of the model behind `answer`, as the record will say it; nothing is counted or told.
pub(super) fn digest(route: &Route, answer: Option<&ModelInferResponse>) -> Option<Hash> {
    declared(route, answer).flatten().or_else(|| Some(route.identity()?.digest))
}

/// A digest with or without its function's name.
fn sha256(text: &str) -> Option<Hash> {
    let bytes = hex_decode(text.strip_prefix("sha256:").unwrap_or(text)).ok()?;
    Hash::try_from(bytes.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use ledgerstone::proto::inference::InferParameter;
    use ledgerstone::proto::inference::infer_parameter::ParameterChoice;

    use super::*;
    use crate::intercept::route::{RouteConfig, Routes};

    fn routes(digest: &str) -> Routes {
        let text =
            format!("name = \"loans\"\nmodel = {{ declared = \"sha256\", digest = \"sha256:{digest}\" }}");
        let config: RouteConfig = toml::from_str(&text).unwrap();
        Routes::build(&[config], std::path::Path::new(".")).unwrap()
    }

    fn answer(value: Option<&str>) -> ModelInferResponse {
        let parameter = |text: &str| InferParameter {
            parameter_choice: Some(ParameterChoice::StringParam(text.to_owned())),
        };
        let parameters = value.map(|text| ("sha256".to_owned(), parameter(text))).into_iter().collect();
        ModelInferResponse { parameters, ..ModelInferResponse::default() }
    }

    #[test]
    fn records_what_the_answer_declares_and_counts_what_differs() {
        let (own, other) = (Hash::of(b"own"), Hash::of(b"other"));
        let routes = routes(&own.to_string());
        let (route, metrics) = (routes.for_model("x"), Metrics::new().unwrap());
        let found = |value: Option<&str>| {
            let (identity, problem) = identity(route, Some(&answer(value)), &metrics);
            (identity.map(|identity| identity.digest), problem)
        };
        assert_eq!(found(None), (Some(own), None));
        assert_eq!(found(Some(&own.to_string())), (Some(own), None));
        let counted = "ledgerstone_model_declared_other_total{route=\"loans\"}";
        assert!(!metrics.render().unwrap().contains(counted));
        assert_eq!(found(Some(&format!("sha256:{other}"))), (Some(other), None));
        assert_eq!(found(Some(&other.to_string())), (Some(other), None));
        assert!(metrics.render().unwrap().contains(&format!("{counted} 2")));
        for text in ["", "sha256:00", "Jane Doe", &"g".repeat(64)] {
            assert_eq!(found(Some(text)), (Some(own), Some(NO_DIGEST)), "{text:?}");
        }
        assert_eq!(identity(route, None, &metrics).0.map(|model| model.digest), Some(own));
        assert_eq!(identity(routes.get("unrouted").unwrap(), Some(&answer(None)), &metrics), (None, None));
    }

    #[test]
    fn says_each_other_digest_once() {
        let told = Told::default();
        let (one, other) = (Hash::of(b"one"), Hash::of(b"other"));
        assert_eq!([one, one, other, one].map(|digest| told.is_new(digest)), [true, false, true, true]);
    }
}
