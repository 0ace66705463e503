# n1's clock was ten minutes ahead and is mended while n1 runs. Its hybrid clock stayed there, and what
# it stamped hid every later write of the others. Now another owner stamps in its place.
cluster nodes=3 n=3 seed=1
tick 10ms
clock n1 offset=+600s
put n1 color red level=one
clock n1 offset=+0ms
tick 1s
put n1 shape white
put n3 shape late
get n2 shape level=all
status n1
expect n2 holds shape late
---
     0.400 ms  all nodes hear each other
    10.150 ms  n1 put color red: done (one, 1 of 3) after 0.150 ms
    10.200 ms  n2 ignores n1, whose clock is 599999 ms ahead
    10.200 ms  n3 ignores n1, whose clock is 599999 ms ahead
  1011.100 ms  n1 put shape white: done (quorum, 2 of 3) after 0.950 ms
  1011.650 ms  n3 put shape late: done (quorum, 2 of 3) after 0.550 ms
  1012.050 ms  n2 get shape: late (all, 3 of 3) after 0.400 ms
n1 runs, ready, epoch 1; sees n2 up, n3 up
n1 waits for late acknowledgements 1
n1 counts refused for its clock 1
