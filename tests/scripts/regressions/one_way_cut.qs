# What n1 sends to n4 is lost, and n1 went on hearing n4. It took n4 for alive, chose it to stamp
# each write of the key, and the outcome of all of them was unknown, for as long as the cut lasted.
cluster nodes=5 n=3 seed=1
tick 10ms
owners color
cut n1 -> n4
put n1 color red
tick 5s
expect n1 sees n4 deaf
expect n4 sees n1 down
put n1 color green
heal
tick 1500ms
expect n1 sees n4 up
expect n4 sees n1 up
put n1 color blue
get n4 color
expect n4 holds color blue
---
     0.400 ms  all nodes hear each other
color belongs to n4, n2, n3
  2015.000 ms  n1 put color red: unknown after 2005.000 ms: timed out: 0 of 2 replicas answered
  2100.000 ms  n4 suspects n1, score 2.10
  3100.000 ms  n4 takes n1 for down
  3200.200 ms  n1 is told by n4 that it does not hear n1
  7015.950 ms  n1 put color green: done (quorum, 2 of 3) after 0.950 ms
  7100.200 ms  n4 hears n1
  7100.400 ms  n1 hears n4
  8516.900 ms  n1 put color blue: done (quorum, 2 of 3) after 0.950 ms
  8517.300 ms  n4 get color: blue (quorum, 2 of 3) after 0.400 ms
