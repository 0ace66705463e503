# What never ends is stopped at a stated time, with all that is still pending.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

hold n1 -> n2
hold n1 -> n3
put n1 color red timeout=10s &
pause n3
get n3 color &
settle 1s
---
stopped at `settle 1s`: did not settle by 1010.000 ms of virtual time; pending:
  request 1: put n1 color red timeout=10s &
  request 2: get n3 color &
  n1 waits for writes 1
  1015.000 ms  n1 looks at its deadlines
  held back  n1 -> n2: merge color
  held back  n1 -> n3: merge color
  n3 is paused  n3 finds request 2
