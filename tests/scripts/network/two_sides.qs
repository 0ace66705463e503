# A partition into a majority and a minority: the majority goes on, the minority says no.
cluster nodes=3 n=3 seed=1 judge=10ms \
  detection=heartbeat detection.interval_ms=100 \
  detection.suspect_after_ms=250 detection.down_after_ms=400
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
partition n1 | n2 n3
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms

# n1 does not know yet: the request runs into its deadline.
put n1 color blue timeout=100ms
tick 600ms
---
   115.000 ms  n1 put color blue: unknown after 104.450 ms: timed out: 1 of 2 replicas answered
   260.000 ms  n1 suspects n2, score 2.60
   260.000 ms  n1 suspects n3, score 2.60
   260.000 ms  n2 suspects n1, score 2.60
   260.000 ms  n3 suspects n1, score 2.60
   410.000 ms  n1 takes n2 for down
   410.000 ms  n1 takes n3 for down
   410.000 ms  n2 takes n1 for down
   410.000 ms  n3 takes n1 for down

# By now it knows, and says so before it sends anything.
put n1 color white
get n1 color
get n1 color level=one
put n2 color green
get n3 color
---
   715.000 ms  n1 put color white: not done after 0.000 ms: too few live replicas: 2 needed, 1 alive
   715.000 ms  n1 get color: not done after 0.000 ms: too few live replicas: 2 needed, 1 alive
   715.000 ms  n1 get color: blue (one, 1 of 3) after 0.000 ms
   715.550 ms  n2 put color green: done (quorum, 2 of 3) after 0.550 ms
   715.950 ms  n3 get color: green (quorum, 2 of 3) after 0.400 ms

# `blue` was given up by a client that never learned what became of it. It was older than `green`
# and lost.
heal
tick 500ms
get n1 color level=all
expect replicas agree color
---
   800.400 ms  n1 hears n2 n3, n2 hears n1, n3 hears n1
  1216.500 ms  n1 get color: green (all, 3 of 3) after 0.550 ms
