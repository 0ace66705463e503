# The disk of n1 takes no writes, but n1 went on stamping: each increment built on what its disk had
# kept, and the peers took the lower total for an old one. The acknowledged 5 was lost.
cluster nodes=3 n=3 seed=1 conflict=crdt conflict.type=pn_counter
tick 10ms
add n1 visits 10 level=all
disk n1 full
add n1 visits 5
add n1 visits 3
get n2 visits
expect n2 holds visits 18
---
     0.400 ms  all nodes hear each other
    10.550 ms  n1 add visits 10: done (all, 3 of 3) after 0.550 ms
    11.100 ms  n1 add visits 5: done (quorum, 2 of 3) after 0.550 ms
    12.050 ms  n1 add visits 3: done (quorum, 2 of 3) after 0.950 ms
    12.450 ms  n2 get visits: 18 (quorum, 2 of 3) after 0.400 ms
