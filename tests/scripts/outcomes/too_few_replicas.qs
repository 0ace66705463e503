# A level that cannot be met is refused before anything is sent: certainly not done.
cluster nodes=3 n=3 seed=1 judge=10ms \
  detection=heartbeat detection.interval_ms=100 \
  detection.suspect_after_ms=250 detection.down_after_ms=400
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red level=all
crash n2
crash n3
tick 600ms
---
    10.550 ms  n1 put color red: done (all, 3 of 3) after 0.550 ms
   260.000 ms  n1 suspects n2, score 2.60
   260.000 ms  n1 suspects n3, score 2.60
   410.000 ms  n1 takes n2 for down
   410.000 ms  n1 takes n3 for down

put n1 color blue
get n1 color
get n1 color level=one
put n1 color blue level=5
expect n1 holds color red
---
   610.550 ms  n1 put color blue: not done after 0.000 ms: too few live replicas: 2 needed, 1 alive
   610.550 ms  n1 get color: not done after 0.000 ms: too few live replicas: 2 needed, 1 alive
   610.550 ms  n1 get color: red (one, 1 of 3) after 0.000 ms
   610.550 ms  n1 put color blue: not done after 0.000 ms: invalid request: level 5 needs 5 replicas; allowed: 1 to 3, the copies of each key

restart n2
tick 10ms
get n1 color
---
   610.950 ms  n2 hears n1
   611.150 ms  n1 hears n2
   620.950 ms  n1 get color: red (quorum, 2 of 3) after 0.400 ms
