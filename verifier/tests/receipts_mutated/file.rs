//! A receipt as its keys and texts, so that any of them can be changed and the file be written in its canonical form.

use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct File {
    pub format: String,
    pub origin: String,
    pub decision_id: String,
    pub entry: String,
    pub fields: Vec<Field>,
    pub field_proof: Vec<String>,
    pub tlog_proof: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cose_receipt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<Vec<Later>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchors: Option<Vec<Anchor>>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Field {
    pub index: u64,
    pub path: String,
    pub salt: String,
    pub value: serde_json::Value,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Later {
    pub entry: String,
    pub fields: Vec<Field>,
    pub field_proof: Vec<String>,
    pub index: String,
    pub inclusion_proof: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Anchor {
    pub kind: String,
    pub statement: String,
    pub tlog_proof: String,
    pub proof: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<String>,
}

impl File {
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).expect("a receipt")
    }

    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap() + "\n"
    }
}
