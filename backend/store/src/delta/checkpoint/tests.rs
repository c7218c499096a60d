use serde_json::{Value, json};

use super::*;
use crate::delta::actions::{Add, Format, Metadata, Protocol, Remove, Txn, encode as encode_lines};

fn values(pairs: &[(&str, Option<&str>)]) -> crate::delta::actions::Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
}

fn add(i: usize) -> Line {
    Line::from(Add {
        path: format!("day=2026-11-22/{i}.parquet"),
        partition_values: values(&[("day", Some("2026-11-22"))]),
        size: i as i64 * 1_000,
        modification_time: 1_795_000_000_000,
        data_change: false,
        stats: (!i.is_multiple_of(3)).then(|| format!("{{\"numRecords\":{i}}}")),
        tags: i.is_multiple_of(2).then(|| values(&[("atl.crc32c", Some("00c0ffee")), ("empty", None)])),
    })
}

fn all_kinds(adds: usize) -> Vec<Line> {
    let metadata = Metadata {
        id: "b4c5".to_owned(),
        name: Some("metrics".to_owned()),
        description: None,
        format: Format { provider: "parquet".to_owned(), options: values(&[]) },
        schema_string: "{\"type\":\"struct\",\"fields\":[]}".to_owned(),
        partition_columns: vec!["day".to_owned()],
        configuration: values(&[("delta.checkpointInterval", Some("100"))]),
        created_time: Some(1),
    };
    let remove = Remove {
        path: "day=2026-11-21/gone.parquet".to_owned(),
        deletion_timestamp: Some(5),
        data_change: false,
        extended_file_metadata: Some(true),
        partition_values: Some(values(&[("day", Some("2026-11-21"))])),
        size: Some(9),
    };
    let txn = Txn { app_id: "ingest \"a\"".to_owned(), version: i64::MAX, last_updated: None };
    let mut lines = vec![
        Line::from(Protocol { min_reader_version: 1, min_writer_version: 2 }),
        Line::from(metadata),
        Line::from(txn),
        Line::from(remove),
    ];
    lines.extend((0..adds).map(add));
    lines
}

fn json_of(lines: &[Line]) -> Vec<Value> {
    let text = encode_lines(lines).unwrap();
    serde_json::Deserializer::from_slice(&text).into_iter().collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_is_read_is_what_was_written() {
    let lines = all_kinds(BATCH_ROWS * 2 + 17);
    let read = read(Bytes::from(encode(&lines).unwrap())).unwrap();
    let (mut read, written) = (json_of(&read), json_of(&lines));
    // A null in a map is the same as no entry to every reader of tags.
    for line in &mut read {
        if let Some(tags) = line.pointer_mut("/add/tags").and_then(Value::as_object_mut) {
            tags.entry("empty").or_insert(Value::Null);
        }
    }
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(&written) {
        assert_eq!(read, written);
    }
}

#[test]
fn a_checkpoint_without_files_can_be_read() {
    let lines = all_kinds(0);
    assert_eq!(read(Bytes::from(encode(&lines).unwrap())).unwrap().len(), lines.len());
}

#[test]
fn statistics_in_columns_are_passed_over() {
    let schema = Arc::new(Schema::new(vec![may(
        "add",
        fields([
            may("path", DataType::Utf8),
            may("partitionValues", map()),
            may("size", DataType::Int64),
            may("modificationTime", DataType::Int64),
            may("dataChange", DataType::Boolean),
            may("stats_parsed", fields([may("numRecords", DataType::Int64)])),
        ]),
    )]));
    let row = json!({"add": {"path": "a", "partitionValues": {"day": null}, "size": 1, "modificationTime": 2,
        "dataChange": false, "stats_parsed": {"numRecords": 3}}});
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).build_decoder().unwrap();
    decoder.serialize(&[row]).unwrap();
    let batch = decoder.flush().unwrap().unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    let lines = read(Bytes::from(writer.into_inner().unwrap())).unwrap();
    assert_eq!(lines[0].add.as_ref().unwrap().path, "a");
}

#[test]
fn damage_is_an_error() {
    let bytes = encode(&all_kinds(50)).unwrap();
    assert!(read(Bytes::from(bytes[..bytes.len() - 9].to_vec())).is_err());
    assert!(read(Bytes::from_static(b"PAR1 no parquet PAR1")).is_err());
}
