use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

fn sorted_by(batches: &[RecordBatch], table: Table) {
    let mut last = None;
    for batch in batches {
        assert_eq!(batch.schema(), table.sql_schema());
        assert!(batch.num_rows() <= 65_536);
        let columns: Vec<_> = table
            .sort_columns()
            .iter()
            .map(|name| arrow::row::SortField::new(batch[*name].data_type().clone()))
            .collect();
        let converter = arrow::row::RowConverter::new(columns).unwrap();
        let columns: Vec<_> = table.sort_columns().iter().map(|name| Arc::clone(&batch[*name])).collect();
        for row in &converter.convert_columns(&columns).unwrap() {
            let row = row.owned();
            assert!(last.as_ref().is_none_or(|last| *last <= row), "{table} is sorted");
            last = Some(row);
        }
    }
}

#[tokio::test]
async fn head_rows_are_sorted_and_filters_keep_what_matches() {
    let rig = Rig::new();
    let store = rig.open().await;
    let mut rng = Rng(5);
    for number in 0..40 {
        let time_ms = rig.now_ms() - rng.below(100_000) as i64;
        let mut batch = everything(number, time_ms);
        let name = ["b", "a", "c"][rng.below(3) as usize];
        batch.points.extend((0..50).map(|i| point(name, i, time_ms + rng.below(9) as i64, 1.0)));
        batch.log_streams.push(stream(name, vec![(time_ms * 1_000_000, "x"), (time_ms, "0")]));
        store.append(batch).await.unwrap();
        if number == 20 {
            // Rows of two generations must come out as one order.
            let (reply, done) = oneshot::channel();
            store.inner.send(Command::Rotate(reply)).await.unwrap();
            done.await.unwrap();
        }
    }
    let snapshot = store.snapshot();
    for table in Table::ALL {
        let batches = snapshot.head_batches(table, &HeadFilter::default()).unwrap();
        assert!(!batches.is_empty());
        sorted_by(&batches, table);
    }
    let all = samples(&snapshot).await;
    let of = |filter: HeadFilter| {
        let batches = snapshot.head_batches(Table::Metrics, &filter).unwrap();
        batches.iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    let metric = of(HeadFilter { metric: Some("a".into()), ..HeadFilter::default() });
    assert_eq!(metric, all.iter().filter(|sample| sample.0 == "a").count());
    let ids: HashSet<i64> = all.iter().map(|sample| sample.1).step_by(7).collect();
    let by_id = of(HeadFilter { tsids: Some(Arc::new(ids.clone())), ..HeadFilter::default() });
    assert_eq!(by_id, all.iter().filter(|sample| ids.contains(&sample.1)).count());
    let (start_us, end_us) = (all[3].2, all[3].2 + 20_000_000);
    let by_time = of(HeadFilter { start_us: Some(start_us), end_us: Some(end_us), ..HeadFilter::default() });
    assert_eq!(by_time, all.iter().filter(|sample| (start_us..=end_us).contains(&sample.2)).count());
    assert_eq!(snapshot.head_metric_names(), ["a", "b", "c", "cpu", "latency", "memory"]);
    assert_eq!(snapshot.metric_names().await.unwrap(), snapshot.head_metric_names());
    assert_eq!(snapshot.head_series(Some("cpu")).len(), 7);
    assert_eq!(snapshot.streams(Some("web"), None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn log_entries_keep_nanoseconds_and_the_order_of_equal_times() {
    let rig = Rig::new();
    let store = rig.open().await;
    let (t, body) = (rig.now_ms() * 1_000_000, |i: i64| format!("line {i:04}"));
    let mut expect = Vec::new();
    for i in 0..1_500 {
        // Three entries a nanosecond; every now and then one from before 1970.
        let ns = if i % 100 == 99 { -1 - i } else { t + i / 3 };
        let line = body(i);
        store
            .append(Batch { log_streams: vec![stream("web", vec![(ns, &line)])], ..Batch::new("x") })
            .await
            .unwrap();
        expect.push((ns, line));
    }
    expect.sort_by_key(|line| line.0);
    let snapshot = store.snapshot();
    let head = snapshot.head_batches(Table::Logs, &HeadFilter::default()).unwrap();
    assert_eq!(log_lines(&head), expect);
    store.flush().await.unwrap();
    assert_eq!(store.snapshot().all_files(Table::Logs).len(), 2, "a file a day");
    let mut lines = log_lines(&rows(&store.snapshot(), Table::Logs).await);
    // Files come by day, so before 1970 first.
    assert_eq!(lines.len(), expect.len());
    assert_eq!(std::mem::take(&mut lines), expect);
}

#[tokio::test]
async fn the_days_of_a_flush_become_files_of_bounded_size() {
    let mut rig = Rig::new();
    rig.config.flush_file_rows = 1;
    let store = rig.open().await;
    let day_ms = 86_400_000;
    for day in 0..5 {
        let spread = (0..30_000).map(|i| point("up", i % 50, rig.now_ms() - day * day_ms + i as i64, 1.0));
        store.append(points(spread.collect())).await.unwrap();
    }
    let before = samples(&store.snapshot()).await;
    store.flush().await.unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.all_files(Table::Metrics).len(), 5);
    assert_eq!(samples(&snapshot).await, before);
    assert_eq!(snapshot.series("up", None).await.unwrap().len(), 50);
}

/// While batches come in and flushes run, every snapshot has each batch that was acknowledged before it,
/// and none twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_whole_while_batches_and_flushes_run() {
    let rig = Rig::new();
    let store = Arc::new(rig.open().await);
    let (acked, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = {
        let (store, acked, stop, now_ms) =
            (Arc::clone(&store), Arc::clone(&acked), Arc::clone(&stop), rig.now_ms());
        tokio::spawn(async move {
            for number in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                store.append(everything(number, now_ms)).await.unwrap();
                acked.store(number + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        })
    };
    let flusher = {
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut flushes = 0;
            while !stop.load(Ordering::SeqCst) {
                flushes += u64::from(store.flush().await.is_ok());
            }
            flushes
        })
    };
    // Until enough has happened on both sides, however fast the machine does either: a flush is at most a commit a table.
    let commits = 6 * Table::ALL.len() as u64;
    while store.stats().flush.commits_total < commits || acked.load(Ordering::SeqCst) <= 20 {
        let before = acked.load(Ordering::SeqCst);
        let snapshot = store.snapshot();
        let census = Census::of(&snapshot).await;
        for found in census.tables() {
            assert!(found.values().all(|count| *count == 1), "a row shows twice");
            assert!((0..before).all(|number| found.contains_key(&number)), "a row is missing of {before}");
        }
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    assert!(flusher.await.unwrap() >= 5);
}
