//! Samples gathered by family, in any order, then written as a page.

use std::collections::BTreeMap;

use codecs::exposition::Format;
use codecs::text_encode::Writer;
use model::MetricKind;

/// Metric families being gathered.
#[derive(Debug, Default)]
pub struct Families(BTreeMap<String, Family>);

#[derive(Debug)]
struct Family {
    kind: MetricKind,
    help: String,
    samples: Vec<(Vec<(String, String)>, f64)>,
}

impl Families {
    /// Adds a gauge.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(MetricKind::Gauge, name, help, labels, value);
    }

    /// Adds a counter; the name must end in `_total` already.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(MetricKind::Counter, name, help, labels, value);
    }

    /// Adds a sample of unknown kind.
    pub fn untyped(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(MetricKind::Unknown, name, help, labels, value);
    }

    fn add(&mut self, kind: MetricKind, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if let Some(family) = self.0.get_mut(name) {
            family.samples.push((labels, value));
            return;
        }
        let family = Family { kind, help: help.to_owned(), samples: vec![(labels, value)] };
        self.0.insert(name.to_owned(), family);
    }

    /// The page, families by name.
    pub fn write(&self, writer: &mut Writer) {
        for (name, family) in &self.0 {
            writer.family(name, family.kind, &family.help);
            for (labels, value) in &family.samples {
                writer.sample(name, labels.iter().map(|(name, value)| (name, value)), *value);
            }
        }
    }

    /// The page in text format 0.0.4.
    pub fn to_page(&self) -> String {
        let mut writer = Writer::new(Format::Text);
        self.write(&mut writer);
        writer.finish()
    }
}
