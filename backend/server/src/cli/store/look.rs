//! `stat` and `ls`: what the tables hold, from their logs alone.

use std::collections::BTreeMap;

use serde_json::json;
use store::paths::day_name;
use store::{Catalog, DataFile, Table};

use super::super::query::{CliError, columns};
use super::super::say;
use super::{Which, size};

/// Files, rows and bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    files: usize,
    rows: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, file: &DataFile) {
        self.files += 1;
        self.rows += file.rows;
        self.bytes += file.size;
    }

    fn cells(self) -> [String; 4] {
        #[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
        let a_row = if self.rows == 0 { 0.0 } else { self.bytes as f64 / self.rows as f64 };
        [self.files.to_string(), self.rows.to_string(), size(self.bytes), format!("{a_row:.2}")]
    }
}

/// Sums by table, level and day.
pub(super) fn stat(catalog: &Catalog, json: bool) -> Result<(), CliError> {
    let sets = catalog.files();
    if json {
        say(&serde_json::to_string_pretty(&store::inspect::tables(&sets))?);
        return Ok(());
    }
    let mut rows = Vec::new();
    for table in Table::ALL {
        let mut by_place: BTreeMap<(std::cmp::Reverse<i32>, u8), Sum> = BTreeMap::new();
        let mut total = Sum::default();
        for file in sets.table(table) {
            total.add(file);
            by_place.entry((std::cmp::Reverse(file.day), file.tags.level)).or_default().add(file);
        }
        let mut row = |day: String, level: String, sum: Sum| {
            let mut cells = vec![table.name().to_owned(), day, level];
            cells.extend(sum.cells());
            rows.push(cells);
        };
        for ((day, level), sum) in by_place {
            row(day_name(day.0), level.to_string(), sum);
        }
        row("all".to_owned(), String::new(), total);
    }
    let names = ["table", "day", "level", "files", "rows", "size", "bytes a row"];
    let text = columns(&names, &rows, &[false, false, true, true, true, true, true]);
    say(text.trim_end());
    Ok(())
}

/// One JSON object a file.
pub(super) fn list(catalog: &Catalog, which: &Which) -> Result<(), CliError> {
    let sets = catalog.files();
    for table in Table::ALL {
        for file in sets.table(table).iter().filter(|file| which.holds(table, file.day)) {
            say(&json!({
                "table": table.name(),
                "day": day_name(file.day),
                "key": file.key.as_ref(),
                "level": file.tags.level,
                "rows": file.rows,
                "bytes": file.size,
                "min_key": file.stats.min_key,
                "max_key": file.stats.max_key,
                "min_ts_us": file.stats.min_ts_us,
                "max_ts_us": file.stats.max_ts_us,
                "may_repeat": file.tags.may_repeat,
            })
            .to_string());
        }
    }
    Ok(())
}
