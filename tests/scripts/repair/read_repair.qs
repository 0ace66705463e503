# A replica that missed a write learns of it from a read that asks it.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms

# Nobody reaches n3 for a while, and the write does not wait for it.
cut n1 -> n3
put n1 color blue
tick 5ms
stored n2 color
stored n3 color
---
    11.100 ms  n1 put color blue: done (quorum, 2 of 3) after 0.550 ms
n2 holds color: blue (n1 at 10.550 ms); record b5ec
n3 holds color: red (n1 at 10.000 ms); record 8cb1

# n3 asks itself and one more. The answers differ: the newer one is written to the stale replica
# before the reader is told.
heal
get n3 color level=all
stored n3 color
status n3
expect replicas agree color
---
    16.650 ms  n3 get color: blue (all, 3 of 3) after 0.550 ms
n3 holds color: blue (n1 at 10.550 ms); record b5ec
n3 runs, ready, epoch 1; sees n1 up, n2 up
n3 counts read repairs 1, repair merges 1
