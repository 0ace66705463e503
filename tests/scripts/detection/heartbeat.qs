# Fixed timeouts: suspect after 250 ms of silence, down after 400 ms. The score is the silence in
# heartbeat intervals.
cluster nodes=3 n=3 seed=1 judge=10ms \
  detection=heartbeat detection.interval_ms=100 \
  detection.suspect_after_ms=250 detection.down_after_ms=400
tick 1s
---
     0.400 ms  all nodes hear each other

crash n3
tick 300ms
expect n1 sees n3 suspect
---
  1260.000 ms  n1 suspects n3, score 2.60
  1260.000 ms  n2 suspects n3, score 2.60

# A suspect still counts as alive; one that is down does not.
put n1 color red level=all timeout=50ms
tick 150ms
expect n1 sees n3 down
put n1 color blue level=all
put n1 color blue
---
  1355.000 ms  n1 put color red: unknown after 55.000 ms: timed out: 2 of 3 replicas answered
  1410.000 ms  n1 takes n3 for down
  1410.000 ms  n2 takes n3 for down
  1505.000 ms  n1 put color blue: not done after 0.000 ms: too few live replicas: 3 needed, 2 alive
  1505.550 ms  n1 put color blue: done (quorum, 2 of 3) after 0.550 ms

restart n3
tick 1ms
expect n1 sees n3 up
put n1 color green level=all
---
  1505.950 ms  n3 hears n1 n2
  1506.150 ms  n1 hears n3, n2 hears n3
  1507.100 ms  n1 put color green: done (all, 3 of 3) after 0.550 ms
