//! zstd for pages of numbers.

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use zstd::zstd_safe::{CParameter, Strategy};

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// zstd 3.
    Quick,
    /// Optimal parsing over few candidates. On doubles, which repeat in steps of eight bytes, it comes within two
    /// per cent of level 19 at three times its speed.
    Thorough,
}

impl Effort {
    const fn level(self) -> i32 {
        match self {
            Effort::Quick => 3,
            Effort::Thorough => 16,
        }
    }

    /// Rows in a page at most: what a reader unpacks to see one value. On samples of node_exporter pages of twice as
    /// many rows take 1 % less; small ones are written and read faster.
    pub(super) const fn page_rows(self) -> usize {
        match self {
            Effort::Quick => 16 << 10,
            Effort::Thorough => 32 << 10,
        }
    }

    /// What the footer says of it.
    pub(super) fn compression(self) -> Result<Compression> {
        Ok(Compression::ZSTD(ZstdLevel::try_new(self.level())?))
    }
}

/// A compressor for one page after the other.
pub(super) struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    pub(super) fn new(effort: Effort) -> Result<Compressor> {
        let mut zstd = zstd::bulk::Compressor::new(effort.level()).map_err(failed)?;
        if effort == Effort::Thorough {
            let parameters = [
                CParameter::Strategy(Strategy::ZSTD_btopt),
                CParameter::WindowLog(21),
                CParameter::SearchLog(2),
                CParameter::MinMatch(3),
            ];
            for parameter in parameters {
                zstd.set_parameter(parameter).map_err(failed)?;
            }
        }
        Ok(Compressor(zstd))
    }

    pub(super) fn compress(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.0.compress(bytes).map_err(failed)
    }
}

fn failed(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
