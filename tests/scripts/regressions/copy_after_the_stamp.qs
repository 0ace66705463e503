# n2 stamps an increment, its answer is lost, and it dies. The copy of the request reaches its next
# life, which refused it for being meant for the life before; another owner then stamped the
# increment again, and 4 became 8. Now the outcome is unknown, and nobody stamps it a second time.
cluster nodes=5 seed=2 conflict=crdt conflict.type=g_counter
tick 300ms
owners k2
link n1 -> n2 duplicate=1 ordered=false delay="uniform(1ms, 200ms)"
cut n2 -> n1
add n1 k2 4 &
tick 80ms
crash n2
heal
restart n2
tick 2500ms
get n1 k2 level=all
---
     0.400 ms  all nodes hear each other
k2 belongs to n2, n4, n5
   380.400 ms  n2 hears n3 n4 n5
   380.600 ms  n3 hears n2, n4 hears n2, n5 hears n2
   402.564 ms  n2 hears n1
   402.764 ms  n1 hears n2
   472.923 ms  n1 add k2 4: unknown after 172.923 ms: too many replicas refused: 0 of 2 answered; n2: the request was meant for an earlier life of this replica
  3040.215 ms  n1 get k2: 4 (all, 3 of 3) after 160.215 ms
