# A replicated register: of two concurrent writes the later one stays, wherever they meet.
cluster nodes=3 n=3 w=one seed=1 conflict=crdt conflict.type=lww_register
tick 10ms
---
     0.400 ms  all nodes hear each other

partition n1 | n2 n3
put n2 color blue
tick 1ms
put n1 color red
settle
---
    10.150 ms  n2 put color blue: done (one, 1 of 3) after 0.150 ms
    11.300 ms  n1 put color red: done (one, 1 of 3) after 0.150 ms
  2021.300 ms  settled

heal
get n3 color level=all
stored n3 color
expect replicas agree color
---
  2022.250 ms  n3 get color: red (all, 3 of 3) after 0.950 ms
n3 holds color: red (n1 at 11.150 ms); record 96a5
