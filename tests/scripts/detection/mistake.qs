# A network that loses three packets in ten: a detector with short timeouts suspects peers that are
# alive, and takes one for down, until it hears their next heartbeat.
cluster nodes=2 n=2 seed=1 judge=10ms loss=0.3 \
  detection=heartbeat detection.interval_ms=100 \
  detection.suspect_after_ms=250 detection.down_after_ms=350
tick 6s
---
     0.200 ms  all nodes hear each other
  3660.000 ms  n1 suspects n2, score 2.60
  3700.200 ms  n1 hears n2
  4060.000 ms  n2 suspects n1, score 2.60
  4160.000 ms  n2 takes n1 for down
  4200.200 ms  n2 hears n1
  5260.000 ms  n2 suspects n1, score 2.60
  5300.200 ms  n2 hears n1
  5560.000 ms  n2 suspects n1, score 2.60
  5600.200 ms  n2 hears n1
