# n1 once ran with a clock that was eight seconds ahead, so its life had a high number. Its disk is
# replaced, and the new life has a lower one: the others take all that it says for old news. It is
# told, and has to be started again when its clock has passed that number.
cluster nodes=3 n=3 seed=1
tick 1s
---
     0.400 ms  all nodes hear each other

crash n1
clock n1 offset=+8s
restart n1
tick 1s
---
  1000.400 ms  n1 hears n2 n3, n2 hears n1, n3 hears n1

power_cut n1
clock n1 offset=+0ms
restart n1 empty
tick 5s
expect n2 sees n1 down
status n2
---
  2000.200 ms  n1 is told of a later life of itself, 1769904009
  2100.200 ms  n1 is told by n2 that it does not hear n1
  2100.200 ms  n1 is told by n3 that it does not hear n1
  4100.000 ms  n2 suspects n1, score 2.10
  4100.000 ms  n3 suspects n1, score 2.10
  5100.000 ms  n2 takes n1 for down
  5100.000 ms  n3 takes n1 for down
n2 runs, ready, epoch 1; sees n1 down, n3 up
n2 counts messages of an earlier life 51

tick 5s
crash n1
restart n1
tick 200ms
expect n2 sees n1 up
---
  7000.200 ms  n1 is told of a later life of itself, 1769904009
 12000.400 ms  n1 hears n2 n3, n2 hears n1, n3 hears n1
