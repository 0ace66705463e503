# A clock that is ahead by more than the bound is not followed: its node is ignored, whatever it
# sends, and told nothing, so that it does not count on the others either.
cluster nodes=3 n=3 seed=1 max_clock_drift=500ms judge=10ms \
  detection=heartbeat detection.interval_ms=100 \
  detection.suspect_after_ms=250 detection.down_after_ms=400
tick 10ms
---
     0.400 ms  all nodes hear each other

clock n1 offset=+2s
put n1 color red timeout=50ms
stored n1 color
stored n2 color
---
    10.200 ms  n2 ignores n1, whose clock is 1999 ms ahead
    10.200 ms  n3 ignores n1, whose clock is 1999 ms ahead
    65.000 ms  n1 put color red: unknown after 55.000 ms: timed out: 1 of 2 replicas answered
n1 holds color: red (n1 at 2010.000 ms); record 87bf
n2 holds color: nothing

tick 500ms
put n1 color white
put n2 color blue
get n3 color
---
   100.200 ms  n2 ignores n1, whose clock is 1999 ms ahead
   100.200 ms  n3 ignores n1, whose clock is 1999 ms ahead
   260.000 ms  n1 suspects n2, score 2.60
   260.000 ms  n1 suspects n3, score 2.60
   260.000 ms  n2 suspects n1, score 2.60
   260.000 ms  n3 suspects n1, score 2.60
   410.000 ms  n1 takes n2 for down
   410.000 ms  n1 takes n3 for down
   410.000 ms  n2 takes n1 for down
   410.000 ms  n3 takes n1 for down
   565.000 ms  n1 put color white: not done after 0.000 ms: too few live replicas: 2 needed, 1 alive
   565.550 ms  n2 put color blue: done (quorum, 2 of 3) after 0.550 ms
   565.950 ms  n3 get color: blue (quorum, 2 of 3) after 0.400 ms

# The clock is mended, and the others hear n1 again. Its hybrid clock may not go back: what n1 stamps
# stays ahead until true time has caught up.
clock n1 offset=+0ms
tick 500ms
put n1 color white
stored n1 color
---
   700.200 ms  n2 is told by n1 that it does not hear n2
   700.200 ms  n3 is told by n1 that it does not hear n3
   700.200 ms  n1 hears n2 n3
   700.400 ms  n2 hears n1, n3 hears n1
  1066.900 ms  n1 put color white: done (quorum, 2 of 3) after 0.950 ms
n1 holds color: red (n1 at 2010.000 ms); record 87bf

tick 1s
put n1 color green level=all
stored n1 color
expect replicas agree color
---
  2067.450 ms  n1 put color green: done (all, 3 of 3) after 0.550 ms
n1 holds color: green (n1 at 2066.900 ms); record e9a9
