use model::ManualClock;
use object_store::memory::InMemory;

use super::*;
use crate::objects::DurableFolder;
use crate::testing::{FaultyStore, LATE_MAX, noon};

/// A clock that goes with tokio's, which tests can stop and which then jumps to the next timer.
#[derive(Debug)]
struct TokioClock(tokio::time::Instant, i64);

impl TokioClock {
    /// `ahead_ms`: how far it is ahead of the other clocks of a test.
    fn new(start: tokio::time::Instant, ahead_ms: i64) -> Arc<TokioClock> {
        Arc::new(TokioClock(start, noon().now_ms() + ahead_ms))
    }
}

impl Clock for TokioClock {
    fn now_ns(&self) -> i64 {
        self.1 * 1_000_000 + self.0.elapsed().as_nanos() as i64
    }
}

fn lease(objects: &Arc<dyn ObjectStore>, holder: &str, clock: Arc<dyn Clock>) -> Arc<Lease> {
    let (objects, prefix) = (Arc::clone(objects), Path::from("team/atl"));
    Lease::new(objects, &prefix, holder.to_owned(), clock, LeaseSettings::default())
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn holder(outcome: Result<Leadership>) -> String {
    match outcome {
        Err(Error::LeaseHeld { holder, .. }) => holder,
        outcome => panic!("{outcome:?}"),
    }
}

async fn check_one_at_a_time(objects: Arc<dyn ObjectStore>) {
    let clock = noon();
    let of = |holder| lease(&objects, holder, Arc::<ManualClock>::clone(&clock));
    let (a, b) = (of("a"), of("b"));
    let first = a.acquire(0).await.unwrap();
    assert_eq!((first.epoch(), first.lost().is_cancelled()), (Some(1), false));
    assert_eq!(holder(b.acquire(0).await), "a");
    let stats = b.stats();
    assert_eq!((stats.holder.as_deref(), stats.epoch, stats.held), (Some("a"), 1, false));
    assert!(a.stats().held);
    first.release().await;
    assert!(!a.stats().held);
    let second = b.acquire(0).await.unwrap();
    assert_eq!(second.epoch(), Some(2), "given back, so there is no wait");
    assert_eq!(holder(a.acquire(0).await), "b");
    second.release().await;
    assert_eq!(a.acquire(40).await.unwrap().epoch(), Some(41), "the tables have seen epoch 40");
}

#[tokio::test]
async fn one_at_a_time_and_every_holder_gets_a_higher_epoch() {
    check_one_at_a_time(memory()).await;
    let dir = tempfile::tempdir().unwrap();
    check_one_at_a_time(Arc::new(DurableFolder::open(dir.path().to_owned()).unwrap())).await;
}

#[tokio::test]
async fn the_lease_of_a_leader_that_was_killed_is_taken_over_after_its_time() {
    let objects = memory();
    let clock = noon();
    let of = |holder| lease(&objects, holder, Arc::<ManualClock>::clone(&clock));
    let killed = of("killed").acquire(0).await.unwrap();
    // As if the process were gone: nothing renews and nothing gives back.
    if let Some(renewal) = &killed.renewal {
        renewal.task.abort();
    }
    let b = of("b");
    clock.advance_ms(34_999);
    assert_eq!(holder(b.acquire(0).await), "killed", "clocks may differ by five seconds");
    clock.advance_ms(1);
    assert_eq!(b.acquire(0).await.unwrap().epoch(), Some(2));
}

#[tokio::test]
async fn a_holder_whose_clock_ran_ahead_does_not_keep_it_for_ever() {
    let objects = memory();
    let (slow, fast) = (noon(), noon());
    fast.advance_ms(86_400_000);
    let killed = lease(&objects, "fast", fast).acquire(0).await.unwrap();
    if let Some(renewal) = &killed.renewal {
        renewal.task.abort();
    }
    let b = lease(&objects, "b", Arc::<ManualClock>::clone(&slow));
    assert_eq!(holder(b.acquire(0).await), "fast");
    slow.advance_ms(34_000);
    assert_eq!(holder(b.acquire(0).await), "fast");
    slow.advance_ms(1_000);
    assert_eq!(b.acquire(0).await.unwrap().epoch(), Some(2), "unchanged for its whole time");
}

#[tokio::test(start_paused = true)]
async fn a_leader_renews_for_as_long_as_it_works() {
    let objects = memory();
    let start = tokio::time::Instant::now();
    let (a, b) = (
        lease(&objects, "a", TokioClock::new(start, 0)),
        lease(&objects, "b", TokioClock::new(start, 4_000)),
    );
    let leadership = a.acquire(0).await.unwrap();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(17)).await;
        assert_eq!(holder(b.acquire(0).await), "a");
        assert!(!leadership.lost().is_cancelled());
    }
    drop(leadership);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(b.acquire(0).await.is_ok(), "a leadership that is dropped is given back too");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_another_may_begin() {
    let objects = memory();
    let faulty = Arc::new(FaultyStore::new(Arc::clone(&objects), 3, 1));
    faulty.switch(false);
    let start = tokio::time::Instant::now();
    let away: Arc<dyn ObjectStore> = Arc::<FaultyStore>::clone(&faulty);
    let a = lease(&away, "a", TokioClock::new(start, 0));
    let b = lease(&objects, "b", TokioClock::new(start, 0));
    let leadership = a.acquire(0).await.unwrap();
    faulty.switch(true);
    tokio::select! {
        () = leadership.lost().cancelled() => {}
        () = tokio::time::sleep(Duration::from_secs(300)) => panic!("it leads for ever"),
    }
    assert!(start.elapsed() > Duration::from_secs(20), "a single failure is not the end");
    faulty.switch(false);
    assert_eq!(holder(b.acquire(0).await), "a", "its time is not over yet");
    assert_eq!((a.stats().lost_total, a.stats().held), (1, false));
    tokio::time::sleep(LATE_MAX + Duration::from_secs(60)).await;
    assert!(b.acquire(0).await.unwrap().epoch() > Some(1));
}

/// Processes take turns over a store that fails, loses replies and answers late; one of them is killed again
/// and again. No two lead at once, and epochs only grow.
#[tokio::test(start_paused = true)]
async fn no_two_lead_at_once_on_a_failing_store() {
    let mut led = 0;
    for seed in 0..crate::testing::seeds(12) {
        let faulty: Arc<dyn ObjectStore> = Arc::new(FaultyStore::new(memory(), seed, 5));
        let start = tokio::time::Instant::now();
        let leading = Arc::new(Mutex::new((false, 0)));
        let process = |number: i64| {
            let (faulty, leading) = (Arc::clone(&faulty), Arc::clone(&leading));
            async move {
                let clock = TokioClock::new(start, (number - 1) * 2_000);
                let mut terms = 0;
                for life in 0..8 {
                    let lease = lease(&faulty, &format!("{number}-{life}"), Arc::<TokioClock>::clone(&clock));
                    tokio::time::sleep(Duration::from_secs(3 + number as u64)).await;
                    let leadership = loop {
                        match lease.acquire_waiting(0).await {
                            Ok(leadership) => break leadership,
                            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                        }
                    };
                    {
                        let mut leading = lock(&leading);
                        assert!(!leading.0, "seed {seed}: two lead at once");
                        assert!(leadership.epoch().unwrap() > leading.1, "seed {seed}: the epoch grows");
                        *leading = (true, leadership.epoch().unwrap());
                    }
                    tokio::select! {
                        () = leadership.lost().cancelled() => {}
                        () = tokio::time::sleep(Duration::from_secs(70)) => {}
                    }
                    lock(&leading).0 = false;
                    terms += 1;
                    if life % 2 == 0 {
                        leadership.release().await;
                    } else if let Some(renewal) = &leadership.renewal {
                        renewal.task.abort();
                    }
                }
                terms
            }
        };
        let terms = futures::future::join3(process(0), process(1), process(2)).await;
        led += terms.0 + terms.1 + terms.2;
    }
    assert!(led > 60, "only {led} terms");
}

#[tokio::test]
async fn a_lease_that_cannot_be_read_is_free_and_its_epoch_comes_from_the_tables() {
    let objects = memory();
    let key = Path::from("team/atl/_lease/maintenance.json");
    objects.put(&key, PutPayload::from_static(b"{not json")).await.unwrap();
    let a = lease(&objects, "a", noon());
    assert_eq!(a.acquire(6).await.unwrap().epoch(), Some(7));
}
