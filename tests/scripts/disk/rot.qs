# A bit flips on a disk. The checksum tells, the replica refuses to answer, and others are asked.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
put n1 shape round level=all
disk n1 rot
stored n1 color
stored n1 shape
get n1 color level=one
get n1 shape level=one
status n1
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms
    11.100 ms  n1 put shape round: done (all, 3 of 3) after 0.550 ms
n1 holds color: a damaged record: disk of n1: corrupt at byte 12: expected an entry with its checksum, found another one
n1 holds shape: round (n1 at 10.550 ms); record 7604
    11.500 ms  n1 get color: red (one, 1 of 3) after 0.400 ms
    11.500 ms  n1 get shape: round (one, 1 of 3) after 0.000 ms
n1 runs, ready, epoch 1; sees n2 up, n3 up
n1 counts hedges 1, refused for the storage 1

# A damaged log is not replayed: the node does not start, and its disk must be replaced.
crash n1
restart n1
---
stopped at `restart n1`: n1 cannot start: disk of n1: corrupt at byte 0: expected a batch with its checksum, found another one
