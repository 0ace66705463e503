# A disk that is full refuses writes and goes on answering reads, until its node is started again
# with space on it. A quorum does without it.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
disk n1 full
put n2 color blue
put n2 color green level=all
get n1 color level=one
get n1 color
status n1
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms
    11.100 ms  n2 put color blue: done (quorum, 2 of 3) after 0.550 ms
    11.500 ms  n2 put color green: unknown after 0.400 ms: too many replicas refused: 1 of 3 answered; n1: this replica takes no writes since an earlier error of its disk
    11.500 ms  n1 get color: red (one, 1 of 3) after 0.000 ms
    12.300 ms  n1 get color: green (quorum, 2 of 3) after 0.800 ms
n1 runs, not ready, epoch 1; sees n2 up, n3 up
n1 counts hedges 1, read repairs 1, repair merges 1, refused for the storage 3

disk n1 free
put n2 color white level=all
---
    12.700 ms  n2 put color white: unknown after 0.400 ms: too many replicas refused: 1 of 3 answered; n1: this replica takes no writes since an earlier error of its disk

crash n1
restart n1
tick 10ms
put n2 color white level=all
expect replicas agree color
---
    13.100 ms  n1 hears n2 n3
    13.300 ms  n2 hears n1, n3 hears n1
    23.250 ms  n2 put color white: done (all, 3 of 3) after 0.550 ms
