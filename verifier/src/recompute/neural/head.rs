//! A classifier of Ledgerstone's own format on top of a text encoder: `head.json` and `head.safetensors` (`docs/spec/text-head.md`).
//!
//! *Guarantees*: the weights have one row a label and one column a dimension of the vector; a key that the page does not have is refused.
//!
//! *Does not do*: train; compute (`readout`).

use serde::{Deserialize, Serialize};

use super::safetensors::{self, Kind, Stored};
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

const FORMAT: &str = "ledgerstone-text-head/v1";

/// Labels of a classifier.
pub const LABELS_MAX: usize = 1024;

/// What probabilities are of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// One of the labels is right.
    Softmax,
    /// Each label is right or wrong by itself.
    Logistic,
    /// The logits are the answer; there are no probabilities.
    Identity,
}

/// A classifier that was read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The labels, one a logit.
    pub labels: Vec<String>,
    /// What probabilities are of logits.
    pub link: Link,
    /// Label by label, a number for each dimension of the vector.
    pub weights: Vec<f32>,
    /// A number a label.
    pub biases: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadJson {
    format: String,
    labels: Vec<String>,
    link: Link,
}

/// Reads a head for vectors of `width` numbers.
///
/// # Errors
/// [`ModelError`] says what is wrong and in which of the two files.
pub fn read(json: &[u8], weights: &[u8], width: usize) -> Result<Head, ModelError> {
    let HeadJson { format, labels, link } =
        serde_json::from_slice(json).map_err(|error| ModelError::json("head.json", &error))?;
    if format != FORMAT {
        return Err(unsupported(format!("the format {}", shown(&format)), "head.json format"));
    }
    let twice =
        labels.iter().enumerate().any(|(place, label)| labels.iter().take(place).any(|other| other == label));
    if labels.is_empty() || labels.len() > LABELS_MAX || twice {
        return Err(malformed("head.json labels", "is empty, has more than 1024 labels, or one twice"));
    }
    let tensors = safetensors::tensors(weights)?;
    if tensors.len() != 2 {
        return Err(malformed("head.safetensors", "has other tensors than weight and bias"));
    }
    let numbers = |name: &str, shape: &[usize]| {
        let at = |problem| malformed(format!("head.safetensors {name}"), problem);
        let tensor = tensors.get(name).ok_or_else(|| at("is missing"))?;
        if tensor.kind != Kind::F32 || tensor.shape != shape {
            return Err(at("is not F32, or has another shape than the labels and the encoder's vector give"));
        }
        let numbers = floats(tensor);
        if numbers.iter().all(|number| number.is_finite()) {
            Ok(numbers)
        } else {
            Err(at("has a number that is not finite"))
        }
    };
    let weights = numbers("weight", &[labels.len(), width])?;
    let biases = numbers("bias", &[labels.len()])?;
    Ok(Head { labels, link, weights, biases })
}

/// The numbers of a tensor of `f32`.
fn floats(tensor: &Stored<'_>) -> Vec<f32> {
    tensor.bytes.chunks_exact(4).filter_map(|bytes| Some(f32::from_le_bytes(*bytes.first_chunk()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str =
        r#"{"format": "ledgerstone-text-head/v1", "labels": ["no", "yes"], "link": "softmax"}"#;

    fn weights(kind: &str, rows: usize, width: usize, number: f32) -> Vec<u8> {
        let cells = rows * width;
        let header = format!(
            r#"{{"weight":{{"dtype":"{kind}","shape":[{rows},{width}],"data_offsets":[0,{}]}},"bias":{{"dtype":"F32","shape":[{rows}],"data_offsets":[{},{}]}}}}"#,
            cells * 4,
            cells * 4,
            (cells + rows) * 4
        );
        let mut bytes = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        (0..cells + rows).for_each(|_| bytes.extend(number.to_le_bytes()));
        bytes
    }

    #[test]
    fn reads_a_head_that_fits() {
        let head = read(JSON.as_bytes(), &weights("F32", 2, 3, 0.5), 3).unwrap();
        assert_eq!(
            (head.labels.len(), head.link, head.weights, head.biases),
            (2, Link::Softmax, vec![0.5; 6], vec![0.5; 2])
        );
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let good = weights("F32", 2, 3, 0.5);
        for (json, why) in [
            (JSON.replace("v1", "v2"), "another version"),
            (JSON.replace(r#""yes""#, r#""no""#), "a label twice"),
            (JSON.replace(r#"["no", "yes"]"#, "[]"), "no labels"),
            (JSON.replace(r#"["no", "yes"]"#, r#"["no"]"#), "another number of labels"),
            (JSON.replace("softmax", "probit"), "an unknown link"),
            (JSON.replace(r#""link""#, r#""scale": 2, "link""#), "an unknown key"),
        ] {
            assert!(read(json.as_bytes(), &good, 3).is_err(), "{why}");
        }
        for (weights, width, why) in [
            (weights("F32", 2, 3, 0.5), 4, "another width"),
            (weights("I32", 2, 3, 0.5), 3, "another type"),
            (weights("F32", 2, 3, f32::NAN), 3, "not a number"),
        ] {
            assert!(read(JSON.as_bytes(), &weights, width).is_err(), "{why}");
        }
    }
}
