# A message that was on its way for long arrives after a newer one, and changes nothing any more.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

hold n1 -> n3
put n1 color red
tick 1ms
stored n3 color
---
    10.550 ms  n1 put color red: done (quorum, 2 of 3) after 0.550 ms
n3 holds color: nothing

# n2 writes; n3 gets this one before the other.
put n2 color blue level=all
stored n3 color
---
    12.100 ms  n2 put color blue: done (all, 3 of 3) after 0.550 ms
n3 holds color: blue (n2 at 11.550 ms); record bb20

release n1 -> n3
settle
stored n3 color
expect replicas agree color
---
    22.100 ms  settled
n3 holds color: blue (n2 at 11.550 ms); record bb20
