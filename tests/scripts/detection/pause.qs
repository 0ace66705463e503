# A node that stops for three seconds is taken for down by the others. When it goes on it knows that
# it was itself that slept, and judges nobody.
cluster nodes=3 n=3 seed=1 judge=10ms \
  detection=heartbeat detection.interval_ms=100 \
  detection.suspect_after_ms=250 detection.down_after_ms=400
tick 1s
---
     0.400 ms  all nodes hear each other

pause n1
get n1 color &
put n2 color red
tick 3s
expect n2 sees n1 down
---
  1000.550 ms  n2 put color red: done (quorum, 2 of 3) after 0.550 ms
  1260.000 ms  n2 suspects n1, score 2.60
  1260.000 ms  n3 suspects n1, score 2.60
  1410.000 ms  n2 takes n1 for down
  1410.000 ms  n3 takes n1 for down

# The request was waiting all the time; its deadline has not begun.
resume n1
settle
expect n1 sees n2 up
expect n2 sees n1 up
---
  4000.550 ms  n1 has slept 2990 ms beyond its heartbeat and judges nobody
  4000.550 ms  n1 is told by n2 that it does not hear n1
  4000.550 ms  n1 is told by n3 that it does not hear n1
  4000.750 ms  n2 hears n1, n3 hears n1
  4000.950 ms  n1 hears n2 n3
  4001.100 ms  n1 get color: red (quorum, 2 of 3) after 3001.100 ms
  4010.550 ms  settled
