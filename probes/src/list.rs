//! A list of probes with its version: what the backend hands to the edge.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::sign::body_digest;
use crate::{ProbeSpec, SpecError, text::clip};

/// Most probes in one list.
pub const PROBES_MAX: usize = 500;

/// Probes and the version of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeList {
    /// Changes whenever the probes change; see [`ProbeList::of`].
    #[serde(default)]
    pub version: String,
    /// The probes, names unique.
    pub probes: Vec<ProbeSpec>,
}

/// Why a list cannot be used.
#[derive(Debug, Error)]
pub enum ListError {
    /// Not JSON, or not a list of probes.
    #[error("probe list is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// More probes than [`PROBES_MAX`].
    #[error("probe list has {0} probes, and may have at most {PROBES_MAX}")]
    TooMany(usize),
    /// Two probes of one name.
    #[error("two probes are named `{0}`")]
    Duplicate(String),
    /// A probe that cannot be run.
    #[error("probe `{name}`: {source}")]
    Spec {
        /// Its name.
        name: String,
        /// What is wrong.
        #[source]
        source: SpecError,
    },
}

/// A probe that was left out of a list, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedProbe {
    /// Its name, as far as it has one.
    pub name: String,
    /// What is wrong with it.
    pub error: String,
}

impl ProbeList {
    /// A list of `probes` whose version is a digest of them: equal probes, equal version.
    pub fn of(probes: Vec<ProbeSpec>) -> ProbeList {
        let json =
            serde_json::to_vec(&probes).expect("probes hold only text, numbers and maps with text keys");
        let mut version = body_digest(&json);
        version.truncate(16);
        ProbeList { version, probes }
    }

    /// Checks every probe, the number of probes and the names; the first problem is returned.
    pub fn validate(&self) -> Result<(), ListError> {
        if self.probes.len() > PROBES_MAX {
            return Err(ListError::TooMany(self.probes.len()));
        }
        let mut names = HashSet::new();
        for probe in &self.probes {
            probe
                .validate()
                .map_err(|source| ListError::Spec { name: clip(&probe.name, 64).to_owned(), source })?;
            if !names.insert(probe.name.as_str()) {
                return Err(ListError::Duplicate(probe.name.clone()));
            }
        }
        Ok(())
    }

    /// Reads a list and keeps the probes that can be run. The rest is told, not fatal: a worker older than its
    /// backend goes on with the probes it knows. Of two probes of one name the first is kept.
    pub fn parse_lenient(json: &[u8]) -> Result<(ProbeList, Vec<RejectedProbe>), ListError> {
        #[derive(Deserialize)]
        struct Loose {
            #[serde(default)]
            version: String,
            probes: Vec<Value>,
        }
        let loose: Loose = serde_json::from_slice(json)?;
        if loose.probes.len() > PROBES_MAX {
            return Err(ListError::TooMany(loose.probes.len()));
        }
        let mut list = ProbeList { version: clip(&loose.version, 128).to_owned(), probes: Vec::new() };
        let mut rejected = Vec::new();
        let mut names = HashSet::new();
        for value in loose.probes {
            let name = clip(value.get("name").and_then(Value::as_str).unwrap_or("?"), 64).to_owned();
            match parse_probe(value) {
                Ok(probe) if names.insert(probe.name.clone()) => list.probes.push(probe),
                Ok(_) => {
                    rejected.push(RejectedProbe { name, error: "another probe has the same name".to_owned() })
                }
                Err(error) => rejected.push(RejectedProbe { name, error }),
            }
        }
        Ok((list, rejected))
    }
}

fn parse_probe(value: Value) -> Result<ProbeSpec, String> {
    let probe: ProbeSpec = serde_json::from_value(value).map_err(|error| error.to_string())?;
    probe.validate().map_err(|error| error.to_string())?;
    Ok(probe)
}

#[cfg(test)]
mod tests;
