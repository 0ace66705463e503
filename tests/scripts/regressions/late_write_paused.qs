# The same where the stamping replica had been stopped.
cluster nodes=5 write_timeout=1s
tick 30ms
put n4 k1 late &
pause n3
tick 2s
resume n3
tick 50ms
get n1 k1 level=all
expect n1 holds k1 nothing
---
     0.400 ms  all nodes hear each other
  1035.000 ms  n4 put k1 late: unknown after 1005.000 ms: timed out: 0 of 2 replicas answered
  2030.000 ms  n3 has slept 1930 ms beyond its heartbeat and judges nobody
  2080.400 ms  n1 get k1: nothing (all, 3 of 3) after 0.400 ms
