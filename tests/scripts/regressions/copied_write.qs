# The network delivers packets twice. An increment that came twice was stamped twice.
cluster nodes=5 seed=55 conflict=crdt conflict.type=g_counter delay=lnkd_disk
tick 4ms
network delay=constant(200us) duplicate=1
add n1 k2 4
get n1 k2 level=all
expect replicas agree k2
---
     0.235 ms  n2 hears n5
     0.236 ms  n1 hears n5, n2 hears n1
     0.237 ms  n4 hears n5
     0.239 ms  n4 hears n2
     0.242 ms  n3 hears n4, n4 hears n1, n5 hears n1 n2 n3
     0.243 ms  n3 hears n1, n5 hears n4
     0.247 ms  n2 hears n4
     0.257 ms  n3 hears n5
     0.259 ms  n1 hears n2
     0.275 ms  n4 hears n3
     0.285 ms  n1 hears n4, n3 hears n2
     0.287 ms  n1 hears n3
     0.346 ms  n2 hears n3
     4.950 ms  n1 add k2 4: done (quorum, 2 of 3) after 0.950 ms
     5.350 ms  n1 get k2: 4 (all, 3 of 3) after 0.400 ms
