//! Actions of the Delta protocol, as they stand in a commit file: one JSON object a line, one field set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Partition values or options; `null` stands for a null partition value.
pub(crate) type Values = BTreeMap<String, Option<String>>;

/// One line of a commit, or one row of a checkpoint. Actions this program does not know are read as a line
/// without any field set; at our protocol version they may be skipped.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit_info: Option<CommitInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) meta_data: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) txn: Option<Txn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remove: Option<Remove>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) add: Option<Add>,
}

/// Who committed what, for people and for telling a lost reply from a lost race.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CommitInfo {
    /// Milliseconds since the Unix epoch.
    pub(crate) timestamp: i64,
    pub(crate) operation: String,
    pub(crate) operation_parameters: Value,
    pub(crate) engine_info: Option<String>,
    pub(crate) is_blind_append: Option<bool>,
    /// Random id of this commit.
    pub(crate) txn_id: Option<String>,
}

/// Versions a client must know to use the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: i32,
    pub(crate) min_writer_version: i32,
}

/// Schema and settings of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) format: Format,
    pub(crate) schema_string: String,
    pub(crate) partition_columns: Vec<String>,
    #[serde(default)]
    pub(crate) configuration: Values,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_time: Option<i64>,
}

/// Format of the data files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Format {
    pub(crate) provider: String,
    #[serde(default)]
    pub(crate) options: Values,
}

/// How far an application has come: the watermark that makes replay exactly-once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Txn {
    pub(crate) app_id: String,
    pub(crate) version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_updated: Option<i64>,
}

/// A file that belongs to the table from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    /// Relative to the table's folder, percent-encoded.
    pub(crate) path: String,
    pub(crate) partition_values: Values,
    pub(crate) size: i64,
    /// Milliseconds since the Unix epoch.
    pub(crate) modification_time: i64,
    pub(crate) data_change: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stats: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Values>,
}

/// A file that no longer belongs to the table; it stays on the store until vacuum.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    pub(crate) path: String,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_timestamp: Option<i64>,
    pub(crate) data_change: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) extended_file_metadata: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) partition_values: Option<Values>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<i64>,
}

impl From<Protocol> for Line {
    fn from(protocol: Protocol) -> Line {
        Line { protocol: Some(protocol), ..Line::default() }
    }
}

impl From<Metadata> for Line {
    fn from(metadata: Metadata) -> Line {
        Line { meta_data: Some(metadata), ..Line::default() }
    }
}

impl From<Txn> for Line {
    fn from(txn: Txn) -> Line {
        Line { txn: Some(txn), ..Line::default() }
    }
}

impl From<Add> for Line {
    fn from(add: Add) -> Line {
        Line { add: Some(add), ..Line::default() }
    }
}

impl From<Remove> for Line {
    fn from(remove: Remove) -> Line {
        Line { remove: Some(remove), ..Line::default() }
    }
}

/// The bytes of a commit file.
pub(crate) fn encode(lines: &[Line]) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// The lines of a commit file.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Line>, serde_json::Error> {
    serde_json::Deserializer::from_slice(bytes).into_iter::<Line>().collect()
}
