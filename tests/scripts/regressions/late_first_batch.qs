# The batch that was held is the first that n2 ever gets of n3, so n2 has none to compare it with. It
# was taken for punctual and stamped two seconds after its deadline. Now n3 does not ask a peer that
# has not told that it hears n3, and a batch is measured against what its sender had heard, too.
cluster nodes=5 seed=3 delay="uniform(100us, 5ms)" loss=0.2
hold n3 -> n2
tick 20ms
put n3 k2 v94
tick 2s
network delay=constant(200us)
release n3 -> n2
get n1 k2 level=all
---
     2.952 ms  n4 hears n1
     3.130 ms  n5 hears n3
     3.463 ms  n1 hears n4
     4.323 ms  n5 hears n1
     4.549 ms  n3 hears n1
     4.631 ms  n2 hears n1
     4.681 ms  n3 hears n4
     5.138 ms  n2 hears n5
     5.762 ms  n1 hears n5
     6.176 ms  n5 hears n2
     6.609 ms  n1 hears n2
     7.098 ms  n1 hears n3
     7.928 ms  n2 hears n4
     8.059 ms  n4 hears n3
    20.000 ms  n3 put k2 v94: not done after 0.000 ms: too few live replicas: 2 needed, 1 alive
   101.744 ms  n3 is told by n2 that it does not hear n3
   103.001 ms  n3 hears n5
   104.702 ms  n4 hears n2
   108.351 ms  n4 hears n5
   203.345 ms  n5 hears n4
  1000.000 ms  n2 takes n3 for down
  2020.000 ms  n2 hears n3
  2020.200 ms  n3 hears n2
  2020.400 ms  n1 get k2: nothing (all, 3 of 3) after 0.400 ms
