# A network that loses three packets in ten: a detector with short timeouts suspects peers that are
# alive, and takes one for down, until it hears their next heartbeat.
cluster nodes=2 n=2 seed=1 judge=10ms loss=0.3 \
  detection=heartbeat detection.interval_ms=100 \
  detection.suspect_after_ms=250 detection.down_after_ms=350
tick 6s
---
     0.400 ms  all nodes hear each other
  3660.000 ms  n1 suspects n2, score 2.60
  3700.200 ms  n1 hears n2
  4060.000 ms  n2 suspects n1, score 2.60
  4160.000 ms  n2 takes n1 for down
  4200.200 ms  n2 hears n1
  4200.200 ms  n1 is told by n2 that it does not hear n1
  4200.400 ms  n1 hears n2
  5060.000 ms  n1 suspects n2, score 2.60
  5160.000 ms  n1 takes n2 for down
  5200.200 ms  n2 is told by n1 that it does not hear n2
  5800.200 ms  n1 hears n2
  5900.200 ms  n2 hears n1
