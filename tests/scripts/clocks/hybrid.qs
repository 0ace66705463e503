# Nodes that talk to each other follow the fastest clock, so a write that comes after another one
# gets a later time, although its replica's own clock is three seconds behind.
cluster nodes=3 n=3 seed=1
clock n1 offset=+3s
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color early
tick 1ms
put n2 color late level=all
stored n2 color
get n3 color
expect replicas agree color
---
    10.550 ms  n1 put color early: done (quorum, 2 of 3) after 0.550 ms
    12.100 ms  n2 put color late: done (all, 3 of 3) after 0.550 ms
n2 holds color: late (n2 at 3010.000 ms + 1); record 9c33
    12.500 ms  n3 get color: late (quorum, 2 of 3) after 0.400 ms
