//! What must hold for any query text at all: entry for the fuzz target `promql_parse` in `tests/fuzz`, which is also
//! fed with the target's corpus in every test run.

use crate::{ParserOptions, parse_selector, parse_with};

/// What parses prints as a query that parses and prints the same; what does not is told with a place in the text.
/// Queries longer than 64 KiB are passed over, as nobody types them.
pub fn parse(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    if query.len() > 64 << 10 {
        return;
    }
    for experimental in [true, false] {
        let options = ParserOptions { experimental };
        match parse_with(query, options) {
            Ok(expr) => {
                let printed = expr.to_string();
                let again = parse_with(&printed, options);
                assert_eq!(again.map(|expr| expr.to_string()).as_ref(), Ok(&printed), "`{query}`");
            }
            Err(error) => {
                let span = error.span;
                assert!(
                    span.start <= span.end && span.end <= query.len(),
                    "{span:?} in {} bytes",
                    query.len()
                );
                assert!(!error.to_string().is_empty());
            }
        }
    }
    let _ = parse_selector(query);
}
