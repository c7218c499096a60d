//! Histograms as text: `{count:3, sum:5, (1,2]:3}`, as Prometheus prints them in results and labels.

use std::fmt;

use super::{BoundedBucket, Histogram};
use crate::format::float_g;

impl fmt::Display for BoundedBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let [lower, upper, count] = [self.lower, self.upper, self.count].map(float_g);
        write!(f, "{open}{lower},{upper}{close}:{count}")
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", float_g(self.count), float_g(self.sum))?;
        for bucket in self.negative.iter().rev().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {}", self.negative_bounded(*bucket))?;
        }
        if self.zero_count != 0.0 {
            write!(f, ", {}", self.zero_bounded())?;
        }
        for bucket in self.positive.iter().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {}", self.positive_bounded(*bucket))?;
        }
        f.write_str("}")
    }
}
