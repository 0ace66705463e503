//! Two processes that play the same scenario from the same seed write the same bytes, down to the
//! log of all that happened: nothing in it depends on a clock, an address or a hash map's order.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// Everything in it that draws from the seed: loss, reordering, torn disks, drift, siblings.
const EVENTFUL: &str = r#"cluster nodes=7 n=3 conflict=vector_clock sync=never seed=0 \
  detection=phi_accrual delay="exponential(2ms)" loss=0.02 duplicate=0.05 reorder=0.1 \
  commit="pareto(150us, 3)"
tick 50ms

put n1 color red as=first
put n2 shape round &
put n5 size small level=one &
clock n4 drift=900ppm
put n3 color blue context=first &
put n6 color green level=one context=first &
get n7 color
power_cut n2

pause n5
put n1 weight heavy &
partition n1 n3 n4 | n6 n7
put n1 color white &
put n7 color black &
tick 300ms

heal
resume n5
disk n3 slow=5ms
restart n2
tick 300ms
get n2 color &
get n6 shape &
settle
status n1
status n5
stored n2 color
stored n3 color
"#;

fn play(path: &std::path::Path, seed: u64) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(["sim", "--trace", "--seed", &seed.to_string(), "--script"])
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "seed {seed}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn equal_seeds_give_equal_bytes_in_two_processes_and_other_seeds_give_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eventful.qs");
    std::fs::write(&path, EVENTFUL).unwrap();
    let mut logs = Vec::new();
    for seed in [1, 2, 3, 0xdead_beef, u64::MAX] {
        let [one, other] = [play(&path, seed), play(&path, seed)];
        let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert!(one == other, "seed {seed}: {differs:?}");
        assert!(one.lines().count() > 1_000, "seed {seed}: {} lines", one.lines().count());
        // All but the line that names the seed.
        let happened = one.split_once("# All that happened").unwrap().1.to_string();
        assert!(!logs.contains(&happened), "seed {seed} repeats another one");
        logs.push(happened);
    }
}
