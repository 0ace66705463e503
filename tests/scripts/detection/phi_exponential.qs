# The φ detector with exponential intervals. It has learnt a mean of 99 ms: heartbeats come
# every 100 ms, and one more answered the first. So φ is the silence in units of 228 ms: it passes 3
# after 0.684 s and 8 after 1.825 s.
cluster nodes=2 n=2 seed=1 judge=1ms \
  detection=phi_accrual detection.distribution=exponential \
  detection.suspect_threshold=3 detection.threshold=8 \
  detection.first_interval_ms=100 detection.min_interval_ms=10
tick 10s
---
     0.400 ms  all nodes hear each other

crash n2
tick 2s
expect n1 sees n2 down
---
 10685.000 ms  n1 suspects n2, score 3.00
 11825.000 ms  n1 takes n2 for down

restart n2
tick 100ms
expect n1 sees n2 up
---
 12000.400 ms  all nodes hear each other
