# A delete is a tombstone: a replica that missed it cannot bring the value back.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
crash n3
delete n1 color
get n2 color
stored n2 color
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms
    11.100 ms  n1 delete color: done (quorum, 2 of 3) after 0.550 ms
    65.400 ms  n2 get color: nothing (quorum, 2 of 3) after 54.300 ms
n2 holds color: a tombstone (n1 at 10.550 ms); record 18bf

# n3 comes back with the old value. It says so to one who asks n3 alone; a majority knows better.
restart n3
tick 10ms
stored n3 color
get n3 color level=one
get n3 color
stored n3 color
get n1 color level=all
expect replicas agree color
expect n3 holds color nothing
---
    65.800 ms  n3 hears n1 n2
    66.000 ms  n1 hears n3, n2 hears n3
n3 holds color: red (n1 at 10.000 ms); record 8cb1
    75.400 ms  n3 get color: red (one, 1 of 3) after 0.000 ms
    75.950 ms  n3 get color: nothing (quorum, 2 of 3) after 0.550 ms
n3 holds color: a tombstone (n1 at 10.550 ms); record 18bf
    76.350 ms  n1 get color: nothing (all, 3 of 3) after 0.400 ms
