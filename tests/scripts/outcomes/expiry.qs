# A value with a time to live is gone at the same instant everywhere.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 session abc ttl=1s level=all
get n2 session
tick 999ms
get n2 session
stored n2 session
---
    10.550 ms  n1 put session abc: done (all, 3 of 3) after 0.550 ms
    10.950 ms  n2 get session: abc (quorum, 2 of 3) after 0.400 ms
  1010.350 ms  n2 get session: nothing (quorum, 2 of 3) after 0.400 ms
n2 holds session: an expired value (n1 at 10.000 ms); record 30e4
