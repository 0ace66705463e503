# n3 has learnt of a newer topology. It refuses requests of nodes with the older one; they still
# find a majority without it.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
crash n3
restart n3 epoch=2
tick 10ms
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms
    10.950 ms  n3 hears n1 n2
    11.150 ms  n1 hears n3, n2 hears n3

put n1 color blue level=all
put n1 color blue
get n1 color level=all
stored n3 color
status n3
status n1
---
    20.950 ms  n1 put color blue: unknown after 0.400 ms: too many replicas refused: 1 of 3 answered; n3: the request's topology epoch is older than this replica's, 2
    21.500 ms  n1 put color blue: done (quorum, 2 of 3) after 0.550 ms
    21.900 ms  n1 get color: not done after 0.400 ms: too many replicas refused: 2 of 3 answered; n3: the request's topology epoch is older than this replica's, 2
n3 holds color: red (n1 at 10.000 ms); record 8cb1
n3 runs, ready, epoch 2; sees n1 up, n2 up
n3 counts refused for a stale epoch 3
n1 runs, ready, epoch 1, has heard of epoch 2; sees n2 up, n3 up
n1 counts late answers 1

# n3 coordinates with epoch 2, which is newer than theirs, and is heard.
get n3 color level=all
stored n3 color
---
    22.450 ms  n3 get color: blue (all, 3 of 3) after 0.550 ms
n3 holds color: blue (n1 at 20.950 ms); record ee20
