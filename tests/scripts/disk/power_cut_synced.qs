# Each commit is synchronised before it is acknowledged: a power cut of all machines loses nothing.
cluster nodes=3 n=3 sync=always seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
power_cut n1
power_cut n2
power_cut n3
get n1 color
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms
    10.550 ms  n1 get color: not done after 0.000 ms: the connection to the coordinator is down

restart n1
restart n2
restart n3
tick 10ms
get n2 color
expect replicas agree color
---
    10.950 ms  all nodes hear each other
    20.950 ms  n2 get color: red (quorum, 2 of 3) after 0.400 ms
