//! How sentence-transformers makes one vector of a text's tokens: `modules.json`, `1_Pooling/config.json`, `sentence_bert_config.json`.
//!
//! *Guarantees*: a module or a way of pooling that is not known here is refused, since leaving it out would give another vector.
//!
//! *Does not do*: the arithmetic.

use serde::{Deserialize, Serialize};

use super::files::Files;
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// How the vectors of the tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The first token's.
    Cls,
    /// Their mean.
    Mean,
    /// The greatest of each dimension.
    Max,
}

/// What stands behind the encoder of a sentence-transformers model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// How the vectors of the tokens become one.
    pub pooling: Pooling,
    /// Whether the vector is divided by its length.
    pub normalize: bool,
    /// How many tokens of a text are looked at, the special ones included.
    pub tokens_max: Option<usize>,
}

#[derive(Deserialize)]
struct PoolingJson {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
}

#[derive(Deserialize)]
struct ModuleJson {
    r#type: String,
}

#[derive(Deserialize)]
struct TransformerJson {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

/// What the model's files say; none if it is no sentence-transformers model.
///
/// # Errors
/// [`ModelError`] if a file does not read, or asks for what is not reproduced.
pub fn read(files: &Files) -> Result<Option<Sentence>, ModelError> {
    let Some(pooling) = files.optional("1_Pooling/config.json") else { return Ok(None) };
    let json = |format, error: serde_json::Error| ModelError::json(format, &error);
    let pooling: PoolingJson =
        serde_json::from_slice(pooling).map_err(|e| json("1_Pooling/config.json", e))?;
    let other = pooling.pooling_mode_mean_sqrt_len_tokens
        || pooling.pooling_mode_weightedmean_tokens
        || pooling.pooling_mode_lasttoken;
    let modes =
        (pooling.pooling_mode_cls_token, pooling.pooling_mode_mean_tokens, pooling.pooling_mode_max_tokens);
    let pooling = match modes {
        (true, false, false) if !other => Pooling::Cls,
        (false, true, false) if !other => Pooling::Mean,
        (false, false, true) if !other => Pooling::Max,
        _ => {
            return Err(unsupported(
                "a pooling other than one of cls, mean and max",
                "1_Pooling/config.json",
            ));
        }
    };
    let modules: Vec<ModuleJson> = match files.optional("modules.json") {
        Some(bytes) => serde_json::from_slice(bytes).map_err(|e| json("modules.json", e))?,
        None => Vec::new(),
    };
    let kinds: Vec<&str> =
        modules.iter().map(|module| module.r#type.rsplit('.').next().unwrap_or_default()).collect();
    let normalize = match kinds.as_slice() {
        [] | ["Transformer", "Pooling"] => false,
        ["Transformer", "Pooling", "Normalize"] => true,
        kinds => {
            return Err(unsupported(
                format!("a chain of modules {}", shown(&kinds.join(", "))),
                "modules.json",
            ));
        }
    };
    let transformer: Option<TransformerJson> = match files.optional("sentence_bert_config.json") {
        Some(bytes) => Some(serde_json::from_slice(bytes).map_err(|e| json("sentence_bert_config.json", e))?),
        None => None,
    };
    if transformer.as_ref().is_some_and(|transformer| transformer.do_lower_case) {
        return Err(unsupported(
            "lower-casing outside the tokenizer",
            "sentence_bert_config.json do_lower_case",
        ));
    }
    let tokens_max = transformer.and_then(|transformer| transformer.max_seq_length);
    if tokens_max.is_some_and(|tokens| tokens < 2) {
        return Err(malformed("sentence_bert_config.json max_seq_length", "leaves no room for a text"));
    }
    Ok(Some(Sentence { pooling, normalize, tokens_max }))
}
