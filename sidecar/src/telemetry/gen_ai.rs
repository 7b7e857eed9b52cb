//! What telemetry says of a call of a generative model, by the OpenTelemetry semantic conventions for generative AI (1.37, "Spans" and
//! "Metrics").
//!
//! Guarantees: names come from the configuration, and of the answer come numbers alone: no prompt, no word of an answer, and not the name
//! that the caller wrote (INV-8).

use ledgerstone::proto::inference::ModelInferResponse;
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use opentelemetry::KeyValue;

use crate::intercept::route::{GenAiConfig, Route};

/// A route's generative model.
#[derive(Clone, Debug)]
pub(crate) struct GenAi<'a> {
    config: &'a GenAiConfig,
    model: &'a str,
}

impl<'a> GenAi<'a> {
    /// That of `route`, if it leads to one.
    pub(crate) fn of(route: &'a Route) -> Option<Self> {
        let config = route.config().gen_ai.as_ref()?;
        Some(Self { config, model: route.config().model.name.as_deref().unwrap_or_else(|| route.name()) })
    }

    /// What a span of a call is named.
    pub(crate) fn span_name(&self) -> String {
        format!("{} {}", self.config.operation.as_str(), self.model)
    }

    /// What spans and metrics say of each call.
    pub(crate) fn attributes(&self) -> [KeyValue; 3] {
        [
            KeyValue::new("gen_ai.operation.name", self.config.operation.as_str()),
            KeyValue::new("gen_ai.provider.name", self.config.provider.clone()),
            KeyValue::new("gen_ai.request.model", self.model.to_owned()),
        ]
    }

    /// Tokens that went in and that came out, as far as the answer says so.
    pub(crate) fn tokens(&self, answer: &ModelInferResponse) -> [Option<u64>; 2] {
        [&self.config.input_tokens, &self.config.output_tokens].map(|parameter| {
            let named = answer.parameters.get(parameter.as_ref()?)?;
            match named.parameter_choice.as_ref()? {
                ParameterChoice::Int64Param(count) => u64::try_from(*count).ok(),
                ParameterChoice::Uint64Param(count) => Some(*count),
                _ => None,
            }
        })
    }
}
