# A slow disk at one replica: a quorum does not wait for it, level all does.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

disk n2 slow=80ms
put n1 color red
put n1 color blue level=all
get n1 color
get n2 color
---
    10.550 ms  n1 put color red: done (quorum, 2 of 3) after 0.550 ms
   170.550 ms  n1 put color blue: done (all, 3 of 3) after 160.000 ms
   225.400 ms  n1 get color: blue (quorum, 2 of 3) after 54.850 ms
   280.400 ms  n2 get color: blue (quorum, 2 of 3) after 55.000 ms
