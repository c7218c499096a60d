//! Prometheus relabelling.
//!
//! Comes in: a label set and rules in the shape of Prometheus' `relabel_configs`. Goes out: the set changed
//! in place, or the verdict to drop it. Semantics: Prometheus `model/relabel`, UTF-8 label names allowed.
//! Regular expressions are those of the crate `regex`, which shares RE2's syntax; `\Q…\E` is translated. They
//! are anchored at both ends and bounded in size.

use md5::{Digest, Md5};
use model::LabelsBuilder;
use regex::Regex;
use serde::Deserialize;
use thiserror::Error;

mod template;

use template::Template;

/// Largest compiled size of a rule's regular expression, in bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;
const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";
const DEFAULT_SEPARATOR: &str = ";";

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Where the regex matches, set the target label to the expanded replacement.
    #[default]
    Replace,
    /// Drop the set unless the regex matches.
    Keep,
    /// Drop the set where the regex matches.
    Drop,
    /// Drop the set unless the joined values equal the target label.
    KeepEqual,
    /// Drop the set where the joined values equal the target label.
    DropEqual,
    /// Set the target label to the hash of the joined values modulo `modulus`.
    HashMod,
    /// Copy labels whose name matches to the expanded name.
    LabelMap,
    /// Remove labels whose name matches.
    LabelDrop,
    /// Remove labels whose name does not match.
    LabelKeep,
    /// Set the target label to the joined values in lower case.
    Lowercase,
    /// Set the target label to the joined values in upper case.
    Uppercase,
}

/// Why a rule is not valid.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the message of each variant is its description")]
pub enum RelabelError {
    #[error("regex `{pattern}` is not valid: {source}")]
    Regex { pattern: String, source: Box<regex::Error> },
    #[error("relabel action {action:?} needs `{field}`")]
    FieldMissing { action: Action, field: &'static str },
    #[error("relabel action {action:?} does not take `{field}`")]
    FieldNotTaken { action: Action, field: &'static str },
}

/// One rule, compiled. Deserialises from the shape of one entry of `relabel_configs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RuleConfig")]
pub struct Rule {
    action: Action,
    source_labels: Vec<String>,
    separator: String,
    regex: Regex,
    modulus: u64,
    target_label: Template,
    replacement: Template,
    /// A `replace` that matches everything and refers to no group of an empty value: set without matching.
    plain_when_empty: bool,
    config: RuleConfig,
}

/// A rule as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleConfig {
    #[serde(default)]
    source_labels: Option<Vec<String>>,
    separator: Option<String>,
    regex: Option<String>,
    modulus: Option<u64>,
    target_label: Option<String>,
    replacement: Option<String>,
    #[serde(default, deserialize_with = "action_in_any_case")]
    action: Action,
}

/// Applies rules in order; `false` means drop the set.
pub fn apply(rules: &[Rule], labels: &mut LabelsBuilder) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Rule {
    /// Applies the rule; `false` means drop the set.
    pub fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        match self.action {
            Action::Keep => return self.regex.is_match(&self.joined(labels)),
            Action::Drop => return !self.regex.is_match(&self.joined(labels)),
            Action::KeepEqual => return self.target(labels) == self.joined(labels),
            Action::DropEqual => return self.target(labels) != self.joined(labels),
            Action::Replace => self.replace(labels),
            Action::HashMod => {
                let value = hash(&self.joined(labels)) % self.modulus;
                labels.set(self.target_label.as_written(), &value.to_string());
            }
            Action::Lowercase => {
                let value = self.joined(labels).to_lowercase();
                labels.set(self.target_label.as_written(), &value);
            }
            Action::Uppercase => {
                let value = self.joined(labels).to_uppercase();
                labels.set(self.target_label.as_written(), &value);
            }
            Action::LabelMap => self.map_names(labels),
            Action::LabelDrop => {
                labels.retain(|name, _| !self.regex.is_match(name));
            }
            Action::LabelKeep => {
                labels.retain(|name, _| self.regex.is_match(name));
            }
        }
        true
    }

    fn replace(&self, labels: &mut LabelsBuilder) {
        let value = self.joined(labels);
        if value.is_empty() && self.plain_when_empty {
            labels.set(self.target_label.as_written(), self.replacement.as_written());
            return;
        }
        let Some(groups) = self.regex.captures(&value) else { return };
        let target = self.target_label.expand(&groups);
        if !target.is_empty() {
            labels.set(&target, &self.replacement.expand(&groups));
        }
    }

    fn map_names(&self, labels: &mut LabelsBuilder) {
        let mut mapped = Vec::new();
        for (name, value) in labels.iter() {
            if let Some(groups) = self.regex.captures(name) {
                mapped.push((self.replacement.expand(&groups), value.to_owned()));
            }
        }
        for (name, value) in mapped {
            if !name.is_empty() {
                labels.set(&name, &value);
            }
        }
    }

    fn joined(&self, labels: &LabelsBuilder) -> String {
        let mut joined = String::new();
        for (i, name) in self.source_labels.iter().enumerate() {
            if i > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(labels.get(name).unwrap_or(""));
        }
        joined
    }

    fn target<'a>(&self, labels: &'a LabelsBuilder) -> &'a str {
        labels.get(self.target_label.as_written()).unwrap_or("")
    }
}

/// Two rules are equal where they are written the same.
impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.config == other.config
    }
}

impl Eq for Rule {}

impl TryFrom<RuleConfig> for Rule {
    type Error = RelabelError;

    fn try_from(config: RuleConfig) -> Result<Rule, RelabelError> {
        check_fields(&config)?;
        let pattern = config.regex.as_deref().unwrap_or(DEFAULT_REGEX);
        let regex =
            regex::RegexBuilder::new(&format!("^(?s:{})$", template::without_literal_quotes(pattern)))
                .size_limit(REGEX_SIZE_MAX)
                .build()
                .map_err(|source| RelabelError::Regex {
                    pattern: pattern.to_owned(),
                    source: Box::new(source),
                })?;
        let target_label = Template::new(config.target_label.as_deref().unwrap_or(""));
        let replacement = Template::new(config.replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT));
        Ok(Rule {
            action: config.action,
            source_labels: config.source_labels.clone().unwrap_or_default(),
            separator: config.separator.clone().unwrap_or_else(|| DEFAULT_SEPARATOR.to_owned()),
            modulus: config.modulus.unwrap_or(0),
            plain_when_empty: pattern == DEFAULT_REGEX && target_label.is_plain() && replacement.is_plain(),
            regex,
            target_label,
            replacement,
            config,
        })
    }
}

/// Which fields an action needs and takes; a field that says the default counts as not written.
fn check_fields(config: &RuleConfig) -> Result<(), RelabelError> {
    use Action::*;
    let action = config.action;
    let differs =
        |field: &Option<String>, default: &str| field.as_deref().is_some_and(|text| text != default);
    let needs = |field, present: bool| {
        if present { Ok(()) } else { Err(RelabelError::FieldMissing { action, field }) }
    };
    let refuses = |field, present: bool| {
        if present { Err(RelabelError::FieldNotTaken { action, field }) } else { Ok(()) }
    };
    if matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual) {
        needs("target_label", config.target_label.as_ref().is_some_and(|label| !label.is_empty()))?;
    }
    if action == HashMod {
        needs("modulus", config.modulus.is_some_and(|modulus| modulus > 0))?;
    }
    if matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual | LabelDrop | LabelKeep) {
        refuses("replacement", differs(&config.replacement, DEFAULT_REPLACEMENT))?;
    }
    if matches!(action, KeepEqual | DropEqual) {
        refuses("regex", differs(&config.regex, DEFAULT_REGEX))?;
    }
    if matches!(action, KeepEqual | DropEqual | LabelDrop | LabelKeep) {
        refuses("modulus", config.modulus.is_some_and(|modulus| modulus > 0))?;
        refuses("separator", differs(&config.separator, DEFAULT_SEPARATOR))?;
    }
    if matches!(action, LabelDrop | LabelKeep) {
        refuses("source_labels", config.source_labels.is_some())?;
        refuses("target_label", differs(&config.target_label, ""))?;
    }
    Ok(())
}

/// The last eight bytes of the MD5 sum as a number, so that shards are the same as in Prometheus.
fn hash(value: &str) -> u64 {
    let sum = Md5::digest(value.as_bytes());
    sum[8..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn action_in_any_case<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
    let name = String::deserialize(deserializer)?.to_lowercase();
    Action::deserialize(serde::de::value::StrDeserializer::<D::Error>::new(&name))
}

#[cfg(test)]
mod tests;
