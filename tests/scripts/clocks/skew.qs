# Last write wins goes by clocks. n1's clock is three seconds ahead, within the bound of ten.
cluster nodes=3 n=3 seed=1
clock n1 offset=+3s
tick 10ms
---
     0.400 ms  all nodes hear each other

# n1 cannot reach the others, and writes at level one. A second later n2 writes.
partition n1 | n2 n3
tick 4s
put n1 color early level=one
tick 1s
put n2 color late
stored n1 color
stored n2 color
---
  2100.000 ms  n1 suspects n2, score 2.10
  2100.000 ms  n1 suspects n3, score 2.10
  2100.000 ms  n2 suspects n1, score 2.10
  2100.000 ms  n3 suspects n1, score 2.10
  3100.000 ms  n1 takes n2 for down
  3100.000 ms  n1 takes n3 for down
  3100.000 ms  n2 takes n1 for down
  3100.000 ms  n3 takes n1 for down
  4010.150 ms  n1 put color early: done (one, 1 of 3) after 0.150 ms
  5010.700 ms  n2 put color late: done (quorum, 2 of 3) after 0.550 ms
n1 holds color: early (n1 at 7010.000 ms); record 7621
n2 holds color: late (n2 at 5010.150 ms); record a650

# The write that was later in truth has lost.
heal
tick 200ms
get n3 color level=all
expect n2 holds color early
expect replicas agree color
---
  5100.400 ms  n1 hears n2 n3, n2 hears n1, n3 hears n1
  5211.650 ms  n3 get color: early (all, 3 of 3) after 0.950 ms
