//! Exemplars: the versions differ in how they write labels, and in nothing else.

use model::Labels;

use super::labels::{Pair, put_in_order};
use super::refused::{ExemplarFault, Reason};
use crate::protobuf::{ProtobufError, Reader, Value};

/// Bytes of an exemplar's label names and values.
const LABELS_BYTES_MAX: usize = 4 << 10;

/// An exemplar's own labels, its timestamp in milliseconds, its value.
type Exemplar = (Labels, i64, f64);

/// Reads exemplars of one version.
pub(super) trait ExemplarLabels<'a> {
    /// Takes field 1 of a message `Exemplar`: a label (1.0), references to symbols (2.0).
    fn labels(&mut self, field: Value<'a>, labels: &mut LabelList<'a>) -> Result<(), ProtobufError>;

    /// Reads a message `Exemplar`.
    fn read(&mut self, message: &'a [u8]) -> Result<Result<Exemplar, ExemplarFault>, ProtobufError> {
        let mut labels = LabelList::default();
        let (mut timestamp_ms, mut value) = (0, 0.0);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => self.labels(field, &mut labels)?,
                2 => value = field.double(number)?,
                3 => timestamp_ms = field.int(number)?,
                _ => {}
            }
        }
        Ok(labels.finish().map(|labels| (labels, timestamp_ms, value)))
    }
}

/// Labels of an exemplar, until they are too many.
#[derive(Debug, Default)]
pub(super) struct LabelList<'a> {
    pairs: Vec<Pair<'a>>,
    bytes: usize,
    fault: Option<ExemplarFault>,
}

impl<'a> LabelList<'a> {
    pub(super) fn push(&mut self, name: &'a [u8], value: &'a [u8]) {
        // An empty pair counts too, so that their number is bounded.
        self.bytes += name.len() + value.len() + 2;
        if self.bytes > LABELS_BYTES_MAX {
            self.refuse(ExemplarFault::LabelsTooLarge(LABELS_BYTES_MAX));
        } else {
            self.pairs.push((name, value));
        }
    }

    pub(super) fn refuse(&mut self, fault: ExemplarFault) {
        self.fault.get_or_insert(fault);
    }

    fn finish(mut self) -> Result<Labels, ExemplarFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        put_in_order(&mut self.pairs, true).map_err(|reason| match reason {
            Reason::LabelNameTwice => ExemplarFault::LabelNameTwice,
            _ => ExemplarFault::LabelNameEmpty,
        })?;
        Labels::from_utf8_pairs(&self.pairs, &mut Vec::new()).ok_or(ExemplarFault::NotUtf8)
    }
}
