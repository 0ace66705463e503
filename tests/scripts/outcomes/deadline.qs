# The three outcomes of a write: done, certainly not done, unknown.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red
---
    10.550 ms  n1 put color red: done (quorum, 2 of 3) after 0.550 ms

# The replicas get it, but the deadline passes before they can say so. Unknown: here it is done.
network delay="constant(40ms)"
put n1 color blue timeout=50ms
tick 100ms
stored n2 color
stored n3 color
---
    65.000 ms  n1 put color blue: unknown after 54.450 ms: timed out: 1 of 2 replicas answered
n2 holds color: blue (n1 at 10.550 ms); record b5ec
n3 holds color: blue (n1 at 10.550 ms); record b5ec

# Nobody gets it but n1 itself. Unknown: n1 holds it, and a read will spread it.
network
partition n1 | n2 n3
put n1 color green timeout=50ms
stored n1 color
stored n2 color
heal
get n2 color level=all
expect replicas agree color
---
   220.000 ms  n1 put color green: unknown after 55.000 ms: timed out: 1 of 2 replicas answered
n1 holds color: green (n1 at 165.000 ms); record db1f
n2 holds color: blue (n1 at 10.550 ms); record b5ec
   220.950 ms  n2 get color: green (all, 3 of 3) after 0.950 ms

# The client loses its connection: unknown. Without one there was no request: not done.
put n1 color white &
crash n1
put n1 color white
---
   220.950 ms  n1 put color white: unknown after 0.000 ms: the connection to the coordinator is down
   220.950 ms  n1 put color white: not done after 0.000 ms: the connection to the coordinator is down
