# A replicated counter: concurrent increments all count, in whatever order they meet.
cluster nodes=3 n=3 w=one seed=1 conflict=crdt conflict.type=pn_counter
tick 10ms
---
     0.400 ms  all nodes hear each other

add n1 visits 5 level=all
get n2 visits as=seen
---
    10.550 ms  n1 add visits 5: done (all, 3 of 3) after 0.550 ms
    10.950 ms  n2 get visits: 5 (quorum, 2 of 3) after 0.400 ms

partition n1 | n2 n3
add n1 visits 10
add n2 visits -2
settle
stored n1 visits
stored n2 visits
---
    11.100 ms  n1 add visits 10: done (one, 1 of 3) after 0.150 ms
    11.250 ms  n2 add visits -2: done (one, 1 of 3) after 0.150 ms
  2021.250 ms  settled
n1 holds visits: 15; record 546c
n2 holds visits: 3; record 73e2

heal
get n3 visits level=all
expect replicas agree visits
---
  2022.200 ms  n3 get visits: 13 (all, 3 of 3) after 0.950 ms

# A delete by one who saw 5 takes away these 5 alone.
delete n2 visits context=seen level=all
get n1 visits level=all
---
  2022.750 ms  n2 delete visits: done (all, 3 of 3) after 0.550 ms
  2023.150 ms  n1 get visits: 8 (all, 3 of 3) after 0.400 ms

# It takes no values.
put n1 visits 7
---
  2023.150 ms  n1 put visits 7: not done after 0.000 ms: not a valid change for this key: the crdt resolver takes no put: a counter takes increment and delete
