//! Samples that come late, early or twice, and what the tables say of the times of series.

use super::*;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Day, `first_ts` and `last_ts` in milliseconds of every row of `series` in files.
async fn series_rows(store: &Store) -> Vec<(i32, i64, i64)> {
    let (snapshot, footers) = (store.snapshot(), Footers::default());
    let mut found = Vec::new();
    for file in snapshot.all_files(Table::Series) {
        let stream = read_batches(snapshot.objects(), &footers, file, &ReadOptions::default()).await.unwrap();
        for batch in stream.try_collect::<Vec<_>>().await.unwrap() {
            let first = batch["first_ts"].as_primitive::<TimestampMicrosecondType>();
            let last = batch["last_ts"].as_primitive::<TimestampMicrosecondType>();
            let row = |row: usize| (file.day, first.value(row) / 1_000, last.value(row) / 1_000);
            found.extend((0..batch.num_rows()).map(row));
        }
    }
    found
}

async fn last_of_day(store: &Store, ms: i64) -> i64 {
    let day = ms.div_euclid(DAY_MS) as i32;
    series_rows(store).await.iter().filter(|row| row.0 == day).map(|row| row.2).max().unwrap()
}

#[tokio::test]
async fn last_ts_is_right_within_an_hour_and_when_the_day_or_the_store_ends() {
    let rig = Rig::new();
    let store = rig.open().await;
    let mut last_ms = 0;
    for minutes in (0..11 * 60 + 59).step_by(7) {
        rig.clock.advance_ms(noon().now_ms() + minutes * 60_000 - rig.now_ms());
        last_ms = rig.now_ms();
        store.append(points(vec![point("up", 1, last_ms, 1.0)])).await.unwrap();
        store.flush().await.unwrap();
        let behind = last_ms - last_of_day(&store, last_ms).await;
        assert!((0..=HOUR_MS).contains(&behind), "{behind} ms behind after {minutes} minutes");
    }
    let rows = series_rows(&store).await.len();
    assert!((11..=13).contains(&rows), "{rows} rows for 12 hours");
    // The flush after midnight brings the old day up to date, however little is missing.
    store.append(points(vec![point("up", 1, last_ms + 1_000, 1.0)])).await.unwrap();
    rig.clock.advance_ms(noon().now_ms() + 12 * HOUR_MS + 5_000 - rig.now_ms());
    store.append(points(vec![point("up", 1, rig.now_ms(), 1.0)])).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(last_of_day(&store, last_ms).await, last_ms + 1_000);
    rig.clock.advance_ms(60_000);
    store.append(points(vec![point("up", 1, rig.now_ms(), 1.0)])).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(last_of_day(&store, rig.now_ms()).await, rig.now_ms());
}

#[tokio::test]
async fn rows_scattered_over_a_year_are_flushed_day_by_day_and_all() {
    let mut rig = Rig::new();
    rig.config.flush_file_rows = 150;
    rig.config.hot_window = Duration::ZERO;
    let store = rig.open().await;
    let mut numbers = Vec::new();
    for number in 0..400 {
        let mut batch = everything(number, rig.now_ms() - (number as i64 * 37 % 400) * DAY_MS);
        if number % 50 == 0 {
            // Days with more rows than fit into a file.
            let ms = rig.now_ms() - (number as i64 * 37 % 400) * DAY_MS;
            batch.points.extend((0..300).map(|i| point("wide", i, ms + i as i64 % 3, 1.0)));
        }
        store.append(batch).await.unwrap();
        numbers.push(number);
    }
    let before = samples(&store.snapshot()).await;
    let report = store.flush().await.unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.all_file_sets().table_files(Table::Metrics).days().count(), 400);
    assert_eq!(report.commits, 8, "one commit a table, whatever the days");
    assert_eq!(samples(&snapshot).await, before);
    for table in [Table::Logs, Table::Probes] {
        let rows: u64 = snapshot.files(table).iter().map(|file| file.rows).sum();
        assert_eq!(rows, 400, "{table}");
    }
    let days: u64 = snapshot.files(Table::Series).iter().map(|file| file.rows).sum();
    assert_eq!(days, 400 * 3 + 8 * 300);
}

#[tokio::test]
async fn samples_outside_of_the_times_allowed_are_dropped_and_counted() {
    let mut rig = Rig::new();
    rig.config.reject_older_than = Some(Duration::from_secs(3_600));
    let store = rig.open().await;
    let now = rig.now_ms();
    let times = [now - HOUR_MS - 1, now - HOUR_MS, now, now + DAY_MS, now + DAY_MS + 1, i64::from(i32::MAX)];
    let sent = points(times.iter().map(|ms| point("up", 1, *ms, 1.0)).collect());
    assert_eq!(store.append(sent.clone()).await.unwrap(), Appended::Stored { rows: 3 });
    let stats = store.stats().append;
    assert_eq!((stats.rejected_old_total, stats.rejected_future_total), (2, 1));
    kill(store).await;
    let mut kept: Vec<i64> = times[1..4].iter().map(|ms| ms * 1_000).collect();
    let store = rig.open().await;
    assert_eq!(samples(&store.snapshot()).await.iter().map(|s| s.2).collect::<Vec<_>>(), kept);
    kill(store).await;
    // Nothing is dropped unless it is asked for, but for the far future.
    rig.config.reject_older_than = None;
    let store = rig.open().await;
    assert_eq!(store.append(sent).await.unwrap(), Appended::Stored { rows: 5 });
    kept = times[..4].iter().chain(&times[5..]).map(|ms| ms * 1_000).collect();
    kept.sort_unstable();
    assert_eq!(samples(&store.snapshot()).await.iter().map(|s| s.2).collect::<Vec<_>>(), kept);
}

/// Whether the newest file of `metrics` may repeat what is in others.
fn newest_may_repeat(store: &Store) -> bool {
    let files = store.catalog().files();
    let name = |file: &&Arc<DataFile>| file.path.rsplit('/').next().unwrap().to_owned();
    files.table(Table::Metrics).iter().max_by_key(name).unwrap().tags.may_repeat
}

#[tokio::test]
async fn late_samples_are_kept_counted_and_told_of() {
    let rig = Rig::new();
    let mut store = rig.open().await;
    let now = rig.now_ms();
    // Offsets in seconds of series 1, of series 2; whether the file may repeat.
    let rounds: [(&[i64], &[i64], bool); 9] = [
        (&[0, 15], &[3], false),
        (&[30], &[18, 33], false),
        (&[20], &[48], true),
        (&[45, 45], &[], true),
        (&[60], &[63], false),
        (&[75, -7_200], &[], true),
        (&[90], &[78], false),
        // A day ahead, which no later sample is compared with.
        (&[86_000], &[], true),
        (&[105], &[93], false),
    ];
    for (number, (first, second, expect)) in rounds.into_iter().enumerate() {
        rig.clock.advance_ms(15_000);
        let of = |i: u64, offsets: &[i64]| -> Vec<Point> {
            offsets.iter().map(|s| point("up", i, now + s * 1_000, *s as f64)).collect()
        };
        store.append(points([of(1, first), of(2, second)].concat())).await.unwrap();
        store.flush().await.unwrap();
        assert_eq!(newest_may_repeat(&store), expect, "round {number}");
    }
    let stats = store.stats().append;
    assert_eq!((stats.out_of_order_total, stats.too_old_total, stats.repeated_total), (1, 1, 1));
    assert_eq!(samples(&store.snapshot()).await.len(), 18);
    kill(store).await;
    // A new process goes by what is in the files: later samples only do not repeat.
    store = rig.open().await;
    for (s, expect) in [(106, false), (104, true), (107, false)] {
        store.append(points(vec![point("up", 3 + s, now + s as i64 * 1_000, 1.0)])).await.unwrap();
        store.flush().await.unwrap();
        assert_eq!(newest_may_repeat(&store), expect, "at {s} s");
    }
}
