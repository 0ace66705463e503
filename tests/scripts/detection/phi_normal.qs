# The φ detector with normal intervals. The network is steady, so the deviation is at its floor of
# 30 ms. At a mean of 99 ms φ passes 3 after 3.1 deviations, 192 ms of silence, and 8 after 267 ms.
cluster nodes=2 n=2 seed=1 judge=1ms \
  detection=phi_accrual detection.distribution=normal \
  detection.suspect_threshold=3 detection.threshold=8 \
  detection.first_interval_ms=100 detection.min_interval_ms=10 detection.min_deviation_ms=30
tick 10s
---
     0.400 ms  all nodes hear each other

crash n2
tick 300ms
expect n1 sees n2 down
---
 10192.000 ms  n1 suspects n2, score 3.00
 10268.000 ms  n1 takes n2 for down

restart n2
tick 100ms
expect n1 sees n2 up
---
 10300.400 ms  all nodes hear each other
