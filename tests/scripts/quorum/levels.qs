# The price of a level is whom it waits for. n3 is behind a slow link, 20 ms each way.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

link n1 -> n3 delay="constant(20ms)"
link n3 -> n1 delay="constant(20ms)"
put n1 color red level=one
put n1 color blue level=two
put n1 color green level=all
settle
---
    10.150 ms  n1 put color red: done (one, 1 of 3) after 0.150 ms
    10.700 ms  n1 put color blue: done (two, 2 of 3) after 0.550 ms
    50.850 ms  n1 put color green: done (all, 3 of 3) after 40.150 ms
    50.850 ms  settled

get n1 color level=one
get n1 color level=quorum
get n1 color level=all
---
    50.850 ms  n1 get color: green (one, 1 of 3) after 0.000 ms
    51.250 ms  n1 get color: green (quorum, 2 of 3) after 0.400 ms
    91.250 ms  n1 get color: green (all, 3 of 3) after 40.000 ms
