# n1 hears its peers, and its messages to n4 are lost: n4 counts as alive until it has noticed and
# tells in a heartbeat that it does not hear n1. n4 is the first owner of the key, and one write is
# stamped by one replica, so n1 does not try another.
cluster nodes=5 n=3 seed=1
tick 10ms
owners color
---
     0.400 ms  all nodes hear each other
color belongs to n4, n2, n3

cut n1 -> n4
put n1 color red timeout=200ms
stored n2 color
expect n1 sees n4 up
---
   215.000 ms  n1 put color red: unknown after 205.000 ms: timed out: 0 of 2 replicas answered
n2 holds color: nothing

# Another coordinator succeeds, and a read by n1 does without n4.
put n5 color blue
get n1 color
status n1
---
   215.950 ms  n5 put color blue: done (quorum, 2 of 3) after 0.950 ms
   270.400 ms  n1 get color: blue (quorum, 2 of 3) after 54.450 ms
n1 runs, ready, epoch 1; sees n2 up, n3 up, n4 up, n5 up
n1 waits for late acknowledgements 1
n1 counts hedges 1
