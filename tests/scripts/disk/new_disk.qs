# A node comes back with an empty disk. Nothing refills it by itself: each key returns when a read
# asks this replica.
cluster nodes=3 n=3 seed=1
tick 2s
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
put n1 shape round level=all
power_cut n1
restart n1 empty
tick 10ms
stored n1 color
get n1 color level=one
---
  2000.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms
  2001.100 ms  n1 put shape round: done (all, 3 of 3) after 0.550 ms
  2001.500 ms  n1 hears n2 n3
  2001.700 ms  n2 hears n1, n3 hears n1
n1 holds color: nothing
  2011.100 ms  n1 get color: nothing (one, 1 of 3) after 0.000 ms

get n1 color
stored n1 color
stored n1 shape
---
  2011.650 ms  n1 get color: red (quorum, 2 of 3) after 0.550 ms
n1 holds color: red (an earlier actor at 2000.000 ms); record 966c
n1 holds shape: nothing
