use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn mount_lines() {
    let mount = Mount::parse("//srv/a\\040b /mnt/x\\011y cifs ro,relatime 0 0").unwrap();
    assert_eq!((mount.device.as_str(), mount.mount_point.as_str()), ("//srv/a b", "/mnt/x\ty"));
    assert!(mount.read_only);
    assert!(!Mount::parse("d /m t rw,errors=ro 0 0").unwrap().read_only);
    assert_eq!(Mount::parse("only two"), None);
}

#[test]
fn the_root_prefix_is_taken_off() {
    for (root, mount_point, expect) in [
        ("/", "/a", "/a"),
        ("/host", "/host", "/"),
        ("/host/", "/host/a", "/a"),
        ("/host", "/hosts", "/hosts"),
        ("/host", "/a", "/a"),
    ] {
        assert_eq!(
            without_root(Path::new(root), mount_point).as_deref(),
            Some(expect),
            "{root} {mount_point}"
        );
    }
}

static HANG: AtomicBool = AtomicBool::new(true);

fn ask(path: &Path) -> Option<StatVfs> {
    while path == Path::new("/hangs") && HANG.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(1));
    }
    rustix::fs::statvfs("/").ok()
}

#[test]
fn a_hung_file_system_holds_up_nobody_and_may_come_back() {
    let mut statter = Statter::default();
    let mut stat =
        |path: &str, ms| statter.stat_with(path.into(), Instant::now() + Duration::from_millis(ms), ask);
    assert!(stat("/hangs", 30).is_none());
    let start = Instant::now();
    assert!(stat("/hangs", 10_000).is_none(), "known to hang, not asked again");
    assert!(stat("/", 10_000).is_some(), "others are still asked");
    assert!(start.elapsed() < Duration::from_secs(5));
    HANG.store(false, Ordering::SeqCst);
    while stat("/hangs", 10_000).is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "it answers again");
        std::thread::sleep(Duration::from_millis(1));
    }
}
