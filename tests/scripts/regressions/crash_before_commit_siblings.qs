# The same with siblings: the value that its stamper had lost was overwritten by the next one.
cluster nodes=5 n=3 sync=always seed=1 conflict=vector_clock
tick 10ms
owners color
disk n4 slow=20ms
put n1 color red
crash n4
disk n4 slow=0ms
restart n4
tick 10ms
put n1 color blue
get n1 color level=all
expect n2 holds color blue red
---
     0.400 ms  all nodes hear each other
color belongs to n4, n2, n3
    30.950 ms  n1 put color red: done (quorum, 2 of 3) after 20.950 ms
    31.350 ms  n4 hears n1 n2 n3 n5
    31.550 ms  n1 hears n4, n2 hears n4, n3 hears n4, n5 hears n4
    41.900 ms  n1 put color blue: done (quorum, 2 of 3) after 0.950 ms
    42.300 ms  n1 get color: siblings red and blue (all, 3 of 3) after 0.400 ms
