//! Every format read back by a reader that is not ours.

use std::io::Cursor;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::*;
use crate::tests::fixture::Fixture;
use crate::{Config, QueryErrorKind, QueryOptions};

/// Values that are hard to write, over three rows.
const HARD: &str = "SELECT * FROM (VALUES
    (1, 9007199254740993, 'NaN'::double, 'a \"b\" \\ \u{1F600}', timestamp '2026-11-22T10:00:00.000001', date '2026-11-22', true, [1, 2]),
    (2, -9007199254740992, 'Infinity'::double, '=1+1', timestamp '1969-12-31T23:59:59', date '1969-12-31', false, [NULL]),
    (NULL, NULL, 0.1, NULL, NULL, NULL, NULL, NULL))
    AS t(small, big, float, text, time, date, flag, list)";

async fn encoded(fixture: &Fixture, query: &str, format: Format) -> Vec<u8> {
    let answer = fixture.engine.sql(query, QueryOptions::default()).await.unwrap();
    collect(encode(answer, format)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_the_contract() {
    let fixture = Fixture::empty(Config::default()).await;
    let json: Value = serde_json::from_slice(&encoded(&fixture, HARD, Format::Json).await).unwrap();
    assert_eq!(json["columns"][0], json!({"name": "small", "type": "bigint"}));
    assert_eq!(json["columns"][4], json!({"name": "time", "type": "timestamp"}));
    assert_eq!(
        json["rows"],
        json!([
            [
                1,
                "9007199254740993",
                "NaN",
                "a \"b\" \\ \u{1F600}",
                "2026-11-22T10:00:00.000001Z",
                "2026-11-22",
                true,
                [1, 2]
            ],
            [
                2,
                -9007199254740992_i64,
                "+Inf",
                "=1+1",
                "1969-12-31T23:59:59.000000Z",
                "1969-12-31",
                false,
                [null]
            ],
            [null, null, 0.1, null, null, null, null, null]
        ])
    );
    assert_eq!(json["row_count"], 3);
    assert_eq!(json["truncated"], false);
    assert!(json["elapsed_ms"].as_f64().unwrap() > 0.0);
    assert!(json["scanned"]["files"].is_u64() && json["scanned"]["bytes"].is_u64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ndjson_has_an_object_a_row() {
    let fixture = Fixture::empty(Config::default()).await;
    let bytes = encoded(&fixture, HARD, Format::Ndjson).await;
    let rows: Vec<Value> =
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["big"], "9007199254740993");
    assert_eq!(rows[1]["float"], "+Inf");
    assert_eq!(rows[2]["text"], Value::Null);
    let bytes =
        encoded(&fixture, "SELECT a.value, b.value FROM range(1, 2) a, range(1, 2) b", Format::Ndjson).await;
    assert_eq!(String::from_utf8(bytes).unwrap(), "{\"value\":1,\"value_2\":1}\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_reads_back_and_runs_no_formulas() {
    let fixture = Fixture::empty(Config::default()).await;
    let bytes = encoded(&fixture, HARD, Format::Csv).await;
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.starts_with("small,big,float,text,time,date,flag,list\r\n"), "{text}");
    assert!(text.contains("\r\n2,-9007199254740992,+Inf,'=1+1,1969-12-31T23:59:59.000000Z,"), "{text}");
    let format = arrow::csv::reader::Format::default().with_header(true);
    let (schema, rows) = format.infer_schema(Cursor::new(&bytes), None).unwrap();
    assert_eq!((schema.fields().len(), rows), (8, 3));
    let mut reader = arrow::csv::ReaderBuilder::new(Arc::new(schema))
        .with_format(format)
        .build(Cursor::new(&bytes))
        .unwrap();
    let batch = reader.next().unwrap().unwrap();
    assert_eq!(batch.column_by_name("big").unwrap().as_primitive::<Int64Type>().value(0), 9007199254740993);
    assert_eq!(batch.column_by_name("text").unwrap().as_string::<i32>().value(0), "a \"b\" \\ \u{1F600}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrow_and_parquet_read_back_bit_for_bit() {
    let fixture = Fixture::half_flushed().await;
    let query = "SELECT * FROM metrics ORDER BY metric, tsid, ts";
    let expect = fixture.rows(query).await.unwrap();
    let expect = arrow::compute::concat_batches(&expect[0].schema(), &expect).unwrap();

    let bytes = encoded(&fixture, query, Format::Arrow).await;
    let batches: Vec<RecordBatch> =
        StreamReader::try_new(Cursor::new(bytes), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(arrow::compute::concat_batches(&expect.schema(), &batches).unwrap(), expect);

    let bytes = Bytes::from(encoded(&fixture, query, Format::Parquet).await);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let read = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    for (read, written) in read.columns().iter().zip(expect.columns()) {
        assert_eq!(read, written);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_and_maps_have_plain_types_outside() {
    let fixture = Fixture::half_flushed().await;
    let bytes =
        encoded(&fixture, "SELECT ts, value, instance FROM prom.up ORDER BY tsid, ts", Format::Arrow).await;
    let reader = StreamReader::try_new(Cursor::new(bytes), None).unwrap();
    assert_eq!(*reader.schema().field(2).data_type(), arrow::datatypes::DataType::Utf8);
    let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 180);
    let bytes = encoded(
        &fixture,
        "SELECT labels, label(labels, 'job') AS job FROM series WHERE metric = 'up' ORDER BY tsid LIMIT 1",
        Format::Json,
    )
    .await;
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json["columns"][0]["type"], "map<string, string>");
    assert_eq!(json["rows"][0][0]["__name__"], "up");
    assert_eq!(json["rows"][0][1], "node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_markers_keep_their_bits() {
    let fixture = Fixture::empty(Config::default()).await;
    let labels = model::Labels::from_pairs([("__name__", "gone")]);
    let mut batch = model::Batch::new("test");
    batch.points.push(model::Point {
        labels,
        timestamp_ms: crate::tests::fixture::START_MS,
        value: model::stale_nan(),
    });
    fixture.store.append(batch).await.unwrap();
    fixture.store.flush().await.unwrap();
    let bytes = encoded(&fixture, "SELECT value, ts FROM prom.gone", Format::Arrow).await;
    let batch = StreamReader::try_new(Cursor::new(bytes), None).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.column(0).as_primitive::<Float64Type>().value(0).to_bits(), model::STALE_NAN_BITS);
    assert_eq!(
        batch.column(1).as_primitive::<TimestampMicrosecondType>().value(0),
        crate::tests::fixture::START_MS * 1000
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_without_rows_are_whole() {
    let fixture = Fixture::empty(Config::default()).await;
    let query = "SELECT ts, value FROM metrics";
    let json: Value = serde_json::from_slice(&encoded(&fixture, query, Format::Json).await).unwrap();
    assert_eq!((json["rows"].clone(), json["row_count"].clone()), (json!([]), json!(0)));
    assert_eq!(encoded(&fixture, query, Format::Csv).await, b"ts,value\r\n");
    assert!(encoded(&fixture, query, Format::Ndjson).await.is_empty());
    let arrow =
        StreamReader::try_new(Cursor::new(encoded(&fixture, query, Format::Arrow).await), None).unwrap();
    assert_eq!(arrow.schema().fields().len(), 2);
    let parquet = Bytes::from(encoded(&fixture, query, Format::Parquet).await);
    assert_eq!(ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().schema().fields().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_before_the_first_row_are_errors_and_later_ones_end_the_json() {
    let fixture = Fixture::empty(Config::default()).await;
    let run = async |query: &str, format: Format| {
        let answer = fixture.engine.sql(query, QueryOptions::default()).await.unwrap();
        encode(answer, format).collect::<Vec<_>>().await
    };
    let pieces = run("SELECT 1 / (value - 1) FROM range(1, 3)", Format::Json).await;
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].as_ref().unwrap_err().kind, QueryErrorKind::Plan);
    let late = "SELECT 1 / (value - 50000) FROM range(1, 60000)";
    let pieces = run(late, Format::Json).await;
    let text: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap()).collect();
    let json: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["error"], "division by zero");
    let pieces = run(late, Format::Csv).await;
    assert!(pieces.len() > 1 && pieces.last().unwrap().is_err());
}

#[test]
fn formats_are_chosen_by_name_and_accept() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
        assert_eq!(Format::from_accept(format.content_type()), Some(format));
    }
    assert_eq!(
        Format::from_accept("text/html, application/vnd.apache.arrow.stream;q=0.9, */*"),
        Some(Format::Arrow)
    );
    assert_eq!(Format::from_accept("*/*"), Some(Format::Json));
    assert_eq!(Format::from_accept("image/png"), None);
}
