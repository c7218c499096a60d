//! What is wrong, where, and what to write instead.

use super::fixture::Fixture;
use crate::QueryErrorKind::{self, Plan, Sandbox, Syntax};

struct Case {
    query: &'static str,
    kind: QueryErrorKind,
    message: &'static str,
    place: Option<(u32, u32)>,
    hint: Option<&'static str>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_where_and_how_else() {
    let fixture = Fixture::half_flushed().await;
    let cases = [
        Case {
            query: "SELECT *\nFROM metrics\nWHERE valeu > 1",
            kind: Plan,
            message: "column `valeu` does not exist",
            place: Some((3, 7)),
            hint: Some("did you mean `value`"),
        },
        Case {
            query: "SELECT *\n  FROM metrcs",
            kind: Plan,
            message: "table `metrcs` does not exist",
            place: Some((2, 8)),
            hint: Some("did you mean `metrics`"),
        },
        Case {
            query: "SELECT ts\n  FROM metrics WHERE\n >",
            kind: Syntax,
            message: "expected: an expression, found: >",
            place: Some((3, 2)),
            hint: None,
        },
        Case {
            query: "SELECT ts\nFROM metrics\nWHERE (value > 1",
            kind: Syntax,
            message: "expected: ), found: EOF",
            place: Some((3, 17)),
            hint: None,
        },
        Case {
            query: "SELECT\n date_trnc('hour', ts) FROM metrics",
            kind: Plan,
            message: "function `date_trnc` does not exist",
            place: Some((2, 2)),
            hint: Some("did you mean `date_trunc`"),
        },
        Case {
            query: "SELECT 'open FROM metrics",
            kind: Syntax,
            message: "unterminated string literal",
            place: Some((1, 8)),
            hint: None,
        },
        Case { query: "  ", kind: Syntax, message: "query is empty", place: None, hint: None },
        Case {
            query: "SELECT 1;\nDROP TABLE metrics",
            kind: Sandbox,
            message: "more than one statement",
            place: None,
            hint: Some("send one query at a time"),
        },
        Case {
            query: "SELECT *\nFROM pron.up",
            kind: Sandbox,
            message: "schema `pron` does not exist",
            place: Some((2, 6)),
            hint: Some("did you mean `prom`"),
        },
        Case {
            query: "SELECT a.ts FROM metrics a JOIN metrics b ON a.tsid = b.tsid WHERE value > 1",
            kind: Plan,
            message: "column `value` is ambiguous",
            place: Some((1, 68)),
            hint: Some("put the table's name or alias before it"),
        },
        Case {
            query: "SELECT * FROM metrics m WHERE x.value > 1",
            kind: Plan,
            message: "no table of this query is called `x`",
            place: Some((1, 31)),
            hint: Some("tables here: m"),
        },
        Case {
            query: "SELECT metric, value\nFROM metrics GROUP BY metric",
            kind: Plan,
            message: "column `value` must be in GROUP BY or inside an aggregate function",
            place: Some((1, 16)),
            hint: Some("add it to GROUP BY, or take max(value) or the like"),
        },
        Case {
            query: "SELECT body ~ '(' FROM logs",
            kind: Plan,
            message: "invalid regular expression: unclosed group",
            place: None,
            hint: None,
        },
        Case { query: "SELECT 1 / 0", kind: Plan, message: "division by zero", place: None, hint: None },
        Case {
            query: "SELECT label(1, 'x')",
            kind: Plan,
            message: "`label` does not take arguments of these types",
            place: None,
            hint: Some("write it like label(labels, 'job')"),
        },
    ];
    for Case { query, kind, message, place, hint } in cases {
        let error = fixture.error(query).await;
        assert_eq!(error.kind, kind, "{query}: {error:?}");
        assert_eq!(error.message, message, "{query}");
        assert_eq!(error.line.zip(error.column), place, "{query}: {error:?}");
        assert_eq!(error.hint.as_deref(), hint, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_do_not_show_the_inside() {
    let fixture = Fixture::half_flushed().await;
    for query in [
        "SELECT value + 'x' || interval '1 day' FROM metrics",
        "SELECT sum(body) FROM logs",
        "SELECT * FROM metrics WHERE ts > 'yesterday'",
        "SELECT metric, value FROM metrics GROUP BY metric",
        "SELECT CAST(body AS DOUBLE) FROM logs",
        "SELECT body ~ '(' FROM logs",
        "SELECT date_trunc('century', ts, 1) FROM metrics",
        "SELECT abs('x') FROM metrics",
        "SELECT * FROM metrics LIMIT -1",
        "SELECT * FROM metrics LIMIT 'x'",
        "SELECT value FROM metrics ORDER BY 7",
        "SELECT 1 UNION SELECT 1, 2",
        "SELECT (SELECT value FROM metrics)",
        "SELECT max(sum(value)) FROM metrics",
        "SELECT body ~ '(a{1000}){1000}' FROM logs",
        "SELECT regexp_like(body, '(') FROM logs",
        "SELECT regexp_replace(body, '[', 'x') FROM logs",
        "SELECT to_timestamp('x') FROM metrics",
        "SELECT interval 'x'",
        "SELECT $1",
        "SELECT @x",
        "SELECT count(*) FROM metrics WHERE value",
        "SELECT * FROM metrics m WHERE x.value > 1",
        "SELECT substr(body) FROM logs",
    ] {
        let error = fixture.error(query).await;
        assert!(matches!(error.kind, Plan), "{query}: {error:?}");
        for word in ["DataFusion", "backtrace", "Internal", "Error during planning", "\n", "/src/", "Ident"] {
            assert!(!error.message.contains(word), "{query}: {error:?}");
        }
    }
}
