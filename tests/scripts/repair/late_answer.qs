# A read that is done still waits for the replicas that it asked: a late stale answer is repaired.
cluster nodes=3 n=3 r=one fanout=all seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms

cut n1 -> n3
put n1 color blue
tick 5ms
stored n3 color
---
    11.100 ms  n1 put color blue: done (quorum, 2 of 3) after 0.550 ms
n3 holds color: red (n1 at 10.000 ms); record 8cb1

# Level one is satisfied by n1 itself, at once.
heal
get n1 color
settle
stored n3 color
status n1
expect replicas agree color
---
    16.100 ms  n1 get color: blue (one, 1 of 3) after 0.000 ms
  2016.100 ms  settled
n3 holds color: blue (n1 at 10.550 ms); record b5ec
n1 runs, ready, epoch 1; sees n2 up, n3 up
n1 counts repair merges 1, replicas that never acknowledged 1
