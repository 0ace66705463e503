# A counter that only grows.
cluster nodes=3 n=3 w=one seed=1 conflict=crdt conflict.type=g_counter
tick 10ms
---
     0.400 ms  all nodes hear each other

partition n1 | n2 n3
add n1 likes 1
add n2 likes 2
add n1 likes -1
settle
---
    10.150 ms  n1 add likes 1: done (one, 1 of 3) after 0.150 ms
    10.300 ms  n2 add likes 2: done (one, 1 of 3) after 0.150 ms
    10.300 ms  n1 add likes -1: not done after 0.000 ms: not a valid change for this key: the crdt resolver takes no negative increment: a g_counter only grows; choose pn_counter
  2020.300 ms  settled

heal
get n2 likes level=all
expect n3 holds likes 3
expect replicas agree likes
---
  2021.250 ms  n2 get likes: 3 (all, 3 of 3) after 0.950 ms
