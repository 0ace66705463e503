# n2 is 450 ms ahead of n1, which is within the bound, and n1 follows it. n3 then saw n1's hybrid
# clock ahead of its own wall clock by more than the bound, and ignored n1, whose clock is right.
cluster nodes=3 n=3 max_clock_drift=500ms seed=1
clock n2 offset=+450ms
clock n3 offset=-40ms
tick 10ms
put n1 color red
clock n3 offset=-100ms
tick 3s
expect n3 sees n1 up
put n3 color blue
---
     0.400 ms  all nodes hear each other
    10.550 ms  n1 put color red: done (quorum, 2 of 3) after 0.550 ms
   100.200 ms  n3 ignores n2, whose clock is 549 ms ahead
  2100.000 ms  n3 suspects n2, score 2.10
  2200.000 ms  n2 suspects n3, score 2.10
  3011.100 ms  n3 ignores n2, whose clock is 549 ms ahead
  3011.100 ms  n3 put color blue: done (quorum, 2 of 3) after 0.550 ms
