# n4 hands out the stamped 15 while its slow disk still works, and dies. It came back under the same
# actor with 10 on its disk, stamped 13, and the peers took that for an old total.
cluster nodes=5 n=3 sync=always seed=1 conflict=crdt conflict.type=pn_counter
tick 10ms
owners color
add n1 color 10 level=all
disk n4 slow=20ms
add n1 color 5
crash n4
disk n4 slow=0ms
restart n4
tick 10ms
add n1 color 3
get n1 color level=all
expect n2 holds color 18
---
     0.400 ms  all nodes hear each other
color belongs to n4, n2, n3
    10.950 ms  n1 add color 10: done (all, 3 of 3) after 0.950 ms
    31.900 ms  n1 add color 5: done (quorum, 2 of 3) after 20.950 ms
    32.300 ms  n4 hears n1 n2 n3 n5
    32.500 ms  n1 hears n4, n2 hears n4, n3 hears n4, n5 hears n4
    42.850 ms  n1 add color 3: done (quorum, 2 of 3) after 0.950 ms
    43.250 ms  n1 get color: 18 (all, 3 of 3) after 0.400 ms
