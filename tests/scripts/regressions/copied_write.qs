# The network delivers packets twice. An increment that came twice was stamped twice.
cluster nodes=5 seed=55 conflict=crdt conflict.type=g_counter delay=lnkd_disk
tick 4ms
network delay=constant(200us) duplicate=1
add n1 k2 4
get n1 k2 level=all
expect replicas agree k2
---
     0.479 ms  n2 hears n5, n5 hears n2
     0.480 ms  n2 hears n4
     0.483 ms  n1 hears n3
     0.486 ms  n5 hears n1
     0.488 ms  n4 hears n2
     0.495 ms  n3 hears n5
     0.496 ms  n2 hears n1, n5 hears n4
     0.510 ms  n5 hears n3
     0.514 ms  n3 hears n4
     0.517 ms  n1 hears n5
     0.521 ms  n1 hears n2
     0.535 ms  n2 hears n3
     0.545 ms  n4 hears n1
     0.550 ms  n1 hears n4
     0.559 ms  n3 hears n1
     0.581 ms  n4 hears n5
     0.606 ms  n3 hears n2
     1.013 ms  n4 hears n3
     4.950 ms  n1 add k2 4: done (quorum, 2 of 3) after 0.950 ms
     5.350 ms  n1 get k2: 4 (all, 3 of 3) after 0.400 ms
