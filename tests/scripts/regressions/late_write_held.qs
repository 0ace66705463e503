# A write waits on the way for longer than its deadline. Its budget was counted from its arrival: it
# was stamped then, as the newest, and hid the write that had been acknowledged meanwhile.
cluster nodes=5
tick 200ms
hold n5 -> n3
put n5 k1 old
put n1 k1 new
release n5 -> n3
tick 50ms
get n1 k1 level=all
expect replicas agree k1
expect n1 holds k1 new
---
     0.400 ms  all nodes hear each other
  2205.000 ms  n5 put k1 old: unknown after 2005.000 ms: timed out: 0 of 2 replicas answered
  2205.550 ms  n1 put k1 new: done (quorum, 2 of 3) after 0.550 ms
  2255.950 ms  n1 get k1: new (all, 3 of 3) after 0.400 ms
