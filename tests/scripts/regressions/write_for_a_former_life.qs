# A delete waits on the way while n3, which should stamp it, dies and comes back. The new life stamped
# it and removed a value that had been acknowledged meanwhile. Now it is refused, being meant for an
# earlier life.
cluster nodes=5 w=one conflict=vector_clock
tick 2ms
hold n4 -> n3
delete n4 k1 level=quorum timeout=300ms &
tick 600us
crash n3
tick 600ms
restart n3
put n3 k1 v172
release n4 -> n3
tick 50ms
get n1 k1 level=all
expect n3 holds k1 v172
---
     0.400 ms  all nodes hear each other
   305.000 ms  n4 delete k1: unknown after 303.000 ms: timed out: 0 of 2 replicas answered
   602.750 ms  n3 put k1 v172: done (one, 1 of 3) after 0.150 ms
   602.750 ms  n3 is told by n4 that it does not hear n3
   602.950 ms  n4 hears n3
   603.000 ms  n3 hears n1 n2 n4 n5
   603.200 ms  n1 hears n3, n2 hears n3, n5 hears n3
   653.150 ms  n1 get k1: v172 (all, 3 of 3) after 0.400 ms
