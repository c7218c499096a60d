use proptest::prelude::*;

use super::*;

fn parcel(id: &str, bytes: usize) -> Parcel {
    Parcel { batch_id: id.to_owned(), body: vec![0; bytes] }
}

fn ids(outbox: &mut Outbox) -> Vec<String> {
    std::iter::from_fn(|| outbox.take()).map(|parcel| parcel.batch_id).collect()
}

#[test]
fn the_oldest_comes_first_and_goes_back_to_the_front() {
    let mut outbox = Outbox::default();
    for id in ["a", "b", "c"] {
        assert!(outbox.push(parcel(id, 1)).is_empty());
    }
    let first = outbox.take().unwrap();
    assert_eq!(first.batch_id, "a");
    assert!(outbox.put_back(first));
    assert_eq!((outbox.len(), outbox.bytes()), (3, 3));
    assert_eq!(ids(&mut outbox), ["a", "b", "c"]);
    assert!(outbox.is_empty());
}

#[test]
fn a_full_outbox_gives_up_its_oldest() {
    let mut outbox = Outbox::with_limits(2, 100);
    outbox.push(parcel("a", 10));
    outbox.push(parcel("b", 10));
    assert_eq!(outbox.push(parcel("c", 10)), [parcel("a", 10)]);
    assert_eq!(outbox.push(parcel("d", 95)), [parcel("b", 10), parcel("c", 10)]);
    assert_eq!(ids(&mut outbox), ["d"]);
}

#[test]
fn what_is_too_large_alone_is_not_kept() {
    let mut outbox = Outbox::with_limits(2, 100);
    outbox.push(parcel("a", 10));
    let dropped: Vec<_> = outbox.push(parcel("b", 101)).into_iter().map(|parcel| parcel.batch_id).collect();
    assert_eq!(dropped, ["a", "b"]);
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
}

#[test]
fn a_parcel_whose_place_was_taken_does_not_come_back() {
    let mut outbox = Outbox::with_limits(1, 100);
    outbox.push(parcel("a", 10));
    let taken = outbox.take().unwrap();
    outbox.push(parcel("b", 10));
    assert!(!outbox.put_back(taken));
    assert_eq!(ids(&mut outbox), ["b"]);
}

proptest! {
    #[test]
    fn limits_and_count_of_bytes_hold(acts in prop::collection::vec((0_u8..3, 0_usize..60), 0..60)) {
        let mut outbox = Outbox::with_limits(5, 100);
        let mut in_hand = None;
        for (act, bytes) in acts {
            match act {
                0 => drop(outbox.push(parcel("x", bytes))),
                1 => in_hand = outbox.take(),
                _ => if let Some(parcel) = in_hand.take() { outbox.put_back(parcel); },
            }
            prop_assert!(outbox.len() <= 5 && outbox.bytes() <= 100);
        }
        let mut bytes = outbox.bytes();
        while let Some(parcel) = outbox.take() {
            bytes -= parcel.body.len();
        }
        prop_assert_eq!(bytes, 0);
    }
}
