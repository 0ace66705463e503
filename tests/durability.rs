//! Kill -9 in the middle of writes loses nothing that was acknowledged at `sync: always`.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Cluster, http};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const CLUSTER: &str = "replication: {n: 1, r: 1, w: 1}\n  \
    engine: {lsm: {sync: always, memtable_mib: 1, wal_segment_mib: 1}}\n  \
    timing: {heartbeat_interval_ms: 100, gossip_interval_ms: 100}";
const WRITERS: usize = 4;

/// Writes from several connections until the node is gone; answers what was acknowledged.
fn write_until_killed(cluster: &mut Cluster, kill_after: usize) -> Vec<String> {
    let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = cluster.http(1);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (stop, count) = (&stop, &count);
                scope.spawn(move || {
                    let mut acknowledged = Vec::new();
                    for number in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let key = format!("w{writer}-{number}");
                        let (path, value) = (format!("/v1/kv/{key}"), format!("value of {key}"));
                        match http::try_request(address, "PUT", &path, &[], value.as_bytes()) {
                            Ok(response) if response.status < 300 => {
                                acknowledged.push(key);
                                count.fetch_add(1, Ordering::Relaxed);
                            }
                            _ => {}
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        while count.load(Ordering::Relaxed) < kill_after {
            thread::yield_now();
        }
        cluster.kill(1);
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

fn assert_all_there(cluster: &Cluster, acknowledged: &[String]) {
    for key in acknowledged {
        let read = cluster.request(1, "GET", &format!("/v1/kv/{key}"), &[("accept", "*/*")], b"");
        let found = (read.status, read.text());
        assert_eq!(found, (200, format!("value of {key}")), "{key}\n{}", cluster.log(1));
    }
}

/// The segment of the write-ahead log that was written last.
fn newest_log_segment(folder: &Path) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("wal") {
                let holds_data = fs::read(&path).unwrap().iter().any(|byte| *byte != 0);
                found.push((holds_data, fs::metadata(&path).unwrap().modified().unwrap(), path));
            }
        }
    }
    found.sort();
    found.pop().expect("a node that wrote has a log").2
}

/// What a write that was cut short leaves behind: bytes that are no record, after the last one.
fn tear_tail(segment: &Path) {
    let mut file = File::options().read(true).write(true).open(segment).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let torn: Vec<u8> = (0..97u8).map(|number| number.wrapping_mul(151) | 1).collect();
    file.seek(SeekFrom::Start(end as u64 + 8)).unwrap();
    file.write_all(&torn).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn kill_9_loses_no_acknowledged_write() {
    let mut cluster = Cluster::start(1, CLUSTER);
    let mut acknowledged = Vec::new();
    for kill_after in [150, 40] {
        acknowledged = write_until_killed(&mut cluster, kill_after);
        assert!(acknowledged.len() >= kill_after);
        cluster.restart(1);
        assert_all_there(&cluster, &acknowledged);
    }
    cluster.restart(1);
    assert_all_there(&cluster, &acknowledged);
}

#[test]
fn a_torn_log_tail_is_cut_and_loses_no_acknowledged_write() {
    let mut cluster = Cluster::start(1, CLUSTER);
    let acknowledged = write_until_killed(&mut cluster, 100);
    tear_tail(&newest_log_segment(&cluster.data_path(1)));
    cluster.restart(1);
    assert_all_there(&cluster, &acknowledged);

    let after = cluster.request(1, "PUT", "/v1/kv/after", &[], b"value of after");
    assert!(after.status < 300, "{}", after.text());
    cluster.restart(1);
    assert_all_there(&cluster, &[&acknowledged[..], &["after".to_string()]].concat());
}
