//! Labels of a sample: those of the page, those of its target, then the job's rules and limits.
//!
//! Runs once for every new series text; the cache remembers what comes out.

use codecs::exposition::LabelPair;
use model::{Labels, LabelsBuilder};
use process::relabel::{self, Rule};

use super::config::Limits;
use super::error::ScrapeError;

/// What makes labels out of what a page says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelRules<'a> {
    pub(crate) target: &'a Labels,
    pub(crate) honor_labels: bool,
    pub(crate) metric_relabel: &'a [Rule],
    pub(crate) limits: &'a Limits,
}

impl LabelRules<'_> {
    /// The labels to store, or `None` where the rules drop the series.
    pub(crate) fn apply(&self, scraped: &[LabelPair<'_>]) -> Result<Option<Labels>, ScrapeError> {
        let mut labels = LabelsBuilder::default();
        for (name, value) in scraped {
            labels.set(name, value);
        }
        if self.honor_labels {
            self.add_target_labels(&mut labels);
        } else {
            self.overwrite_with_target_labels(&mut labels);
        }
        if !relabel::apply(self.metric_relabel, &mut labels) {
            return Ok(None);
        }
        let labels = labels.build();
        if labels.is_empty() {
            return Ok(None);
        }
        if labels.name().is_empty() {
            return Err(ScrapeError::NameMissing);
        }
        self.check_limits(&labels)?;
        Ok(Some(labels))
    }

    fn add_target_labels(&self, labels: &mut LabelsBuilder) {
        for (name, value) in self.target.iter() {
            if labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
    }

    /// The page's label of the same name becomes `exported_NAME`, the prefix repeated until the name is free;
    /// shorter names choose first.
    fn overwrite_with_target_labels(&self, labels: &mut LabelsBuilder) {
        let mut moved: Vec<(String, String)> = Vec::new();
        for (name, value) in self.target.iter() {
            if let Some(old) = labels.get(name) {
                moved.push((name.to_owned(), old.to_owned()));
            }
            labels.set(name, value);
        }
        moved.sort_by_key(|(name, _)| name.len());
        for (name, value) in moved {
            let mut free = format!("exported_{name}");
            while labels.get(&free).is_some() {
                free.insert_str(0, "exported_");
            }
            labels.set(&free, &value);
        }
    }

    fn check_limits(&self, labels: &Labels) -> Result<(), ScrapeError> {
        let exceeds = |limit: Option<u64>, count: usize| limit.filter(|limit| count as u64 > *limit);
        let metric = || labels.name().to_owned();
        if let Some(limit) = exceeds(self.limits.labels, labels.len()) {
            return Err(ScrapeError::LabelLimit { metric: metric(), count: labels.len(), limit });
        }
        if self.limits.label_name_bytes.is_none() && self.limits.label_value_bytes.is_none() {
            return Ok(());
        }
        for (name, value) in labels.iter() {
            let lengths = [
                ("label_name_length_limit", exceeds(self.limits.label_name_bytes, name.len()), name.len()),
                (
                    "label_value_length_limit",
                    exceeds(self.limits.label_value_bytes, value.len()),
                    value.len(),
                ),
            ];
            for (what, limit, bytes) in lengths {
                if let Some(limit) = limit {
                    let label = name.chars().take(64).collect();
                    return Err(ScrapeError::LabelLength { what, metric: metric(), label, bytes, limit });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::json;

    use super::*;
    use crate::testing::{job, labels};

    /// `scraped` and `target` as `a=1 b=2`.
    fn apply(config: serde_json::Value, scraped: &str, target: &str) -> Result<Option<Labels>, String> {
        let job = job(config);
        let target = labels(target);
        let rules = LabelRules {
            target: &target,
            honor_labels: job.honor_labels,
            metric_relabel: &job.metric_relabel,
            limits: &job.limits,
        };
        let pairs: Vec<LabelPair<'_>> = scraped
            .split_whitespace()
            .map(|pair| pair.split_once('=').expect("name=value"))
            .map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value)))
            .collect();
        rules.apply(&pairs).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(config: serde_json::Value, scraped: &str, target: &str, expect: Option<&str>) {
        assert_eq!(apply(config, scraped, target), Ok(expect.map(labels)));
    }

    #[test]
    fn labels_of_the_target_win() {
        check(json!({}), "__name__=m a=1", "job=j", Some("__name__=m a=1 job=j"));
        check(json!({}), "__name__=m job=own", "job=j", Some("__name__=m exported_job=own job=j"));
        check(
            json!({}),
            "__name__=m job=1 exported_job=2",
            "job=j exported_job=k",
            Some("__name__=m job=j exported_job=k exported_exported_job=1 exported_exported_exported_job=2"),
        );
        check(json!({}), "__name__=m job=", "job=j", Some("__name__=m job=j"));
    }

    #[test]
    fn labels_of_the_page_win_where_honoured() {
        check(
            json!({"honor_labels": true}),
            "__name__=m job=own",
            "job=j x=1",
            Some("__name__=m job=own x=1"),
        );
    }

    #[test]
    fn rules_may_drop_a_series_but_not_its_name() {
        let drop = json!({"metric_relabel_configs": [{"source_labels": ["__name__"], "regex": "m", "action": "drop"}]});
        check(drop, "__name__=m", "job=j", None);
        let keep_none = json!({"metric_relabel_configs": [{"regex": "nothing", "action": "labelkeep"}]});
        check(keep_none, "__name__=m", "job=j", None);
        let unnamed = json!({"metric_relabel_configs": [{"regex": "__name__", "action": "labeldrop"}]});
        let error = apply(unnamed, "__name__=m", "job=j").expect_err("no name");
        assert_eq!(error, "a series has no metric name after relabelling");
    }

    #[test]
    fn limits() {
        let error = |config| apply(config, "__name__=m abc=12345", "job=j").expect_err("crosses a limit");
        assert_eq!(error(json!({"label_limit": 2})), "label_limit of 2 exceeded by metric `m` with 3 labels");
        let expect = "label_name_length_limit of 7 exceeded by label `__name__` of metric `m` with 8 bytes";
        assert_eq!(error(json!({"label_name_length_limit": 7})), expect);
        let expect = "label_value_length_limit of 4 exceeded by label `abc` of metric `m` with 5 bytes";
        assert_eq!(error(json!({"label_value_length_limit": 4})), expect);
        let within = json!({"label_limit": 3, "label_name_length_limit": 8, "label_value_length_limit": 5});
        check(within, "__name__=m abc=12345", "job=j", Some("__name__=m abc=12345 job=j"));
    }
}
