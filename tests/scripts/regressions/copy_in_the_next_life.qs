# The copy of a write arrives when the life that had stamped it is gone; the next one knew nothing of
# that and stamped it again.
cluster nodes=5 conflict=crdt conflict.type=g_counter
tick 300ms
owners k2
network delay=constant(200us) duplicate=1 reorder=1 ordered=false
hold n1 -> n2
add n1 k2 4 &
tick 1ms
crash n2
restart n2
release n1 -> n2
tick 2500ms
get n1 k2 level=all
---
     0.400 ms  all nodes hear each other
k2 belongs to n2, n4, n5
   301.400 ms  n1 add k2 4: unknown after 1.400 ms: too many replicas refused: 0 of 2 answered; n2: the request was meant for an earlier life of this replica
   301.800 ms  n2 hears n1 n3 n4 n5
   302.200 ms  n1 hears n2, n3 hears n2, n4 hears n2, n5 hears n2
  2801.800 ms  n1 get k2: nothing (all, 3 of 3) after 0.800 ms
