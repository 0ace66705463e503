# Nothing is synchronised: what was acknowledged lies in the memory of the operating system. There it
# survives the end of all processes.
cluster nodes=3 n=3 sync=never seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
crash n1
crash n2
crash n3
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms

restart n1
restart n2
restart n3
tick 10ms
get n1 color level=all
---
    10.950 ms  all nodes hear each other
    20.950 ms  n1 get color: red (all, 3 of 3) after 0.400 ms

# It does not survive the loss of power: a write that all replicas acknowledged is gone.
put n1 color blue level=all
power_cut n1
power_cut n2
power_cut n3
stored n1 color
---
    21.500 ms  n1 put color blue: done (all, 3 of 3) after 0.550 ms
n1 holds color: red (an earlier actor at 10.000 ms); record 8cb1

restart n1
restart n2
restart n3
tick 10ms
stored n1 color
get n2 color level=all
---
    21.900 ms  all nodes hear each other
n1 holds color: red (an earlier actor at 10.000 ms); record 8cb1
    31.900 ms  n2 get color: red (all, 3 of 3) after 0.400 ms
