# A clock that gains 10,000 parts per million is half a second ahead after fifty seconds, and that is
# the bound.
cluster nodes=3 n=3 seed=1 heartbeat=1s gossip=1s max_clock_drift=500ms
clock n2 drift=10000ppm
tick 49s
get n2 color
---
     0.400 ms  all nodes hear each other
 49000.400 ms  n2 get color: nothing (quorum, 2 of 3) after 0.400 ms

tick 5s
get n2 color
get n1 color
---
 50505.200 ms  n1 ignores n2, whose clock is 504 ms ahead
 50505.200 ms  n3 ignores n2, whose clock is 504 ms ahead
 51600.000 ms  n1 suspects n2, score 2.08
 51600.000 ms  n3 suspects n2, score 2.08
 51981.240 ms  n2 suspects n1, score 2.00
 51981.240 ms  n2 suspects n3, score 2.00
 52600.000 ms  n1 takes n2 for down
 52600.000 ms  n3 takes n2 for down
 52971.340 ms  n2 takes n1 for down
 52971.340 ms  n2 takes n3 for down
 54000.400 ms  n2 get color: not done after 0.000 ms: too few live replicas: 2 needed, 1 alive
 54000.800 ms  n1 get color: nothing (quorum, 2 of 3) after 0.400 ms
