# n1 reaches the others, but nothing of theirs reaches n1: a write by n1 arrives and its
# acknowledgements do not.
cluster nodes=3 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

cut n2 -> n1
cut n3 -> n1
put n1 color red timeout=100ms
---
   115.000 ms  n1 put color red: unknown after 105.000 ms: timed out: 1 of 2 replicas answered

# The outcome was unknown to the client. In truth it was done, on all three.
stored n2 color
stored n3 color
get n2 color
---
n2 holds color: red (n1 at 10.000 ms); record 8cb1
n3 holds color: red (n1 at 10.000 ms); record 8cb1
   115.400 ms  n2 get color: red (quorum, 2 of 3) after 0.400 ms

# n1 hears nobody and takes the others for down. They hear n1, which tells them that it does not
# hear them, and go on without it.
tick 4s
expect n1 sees n2 down
expect n2 sees n1 deaf
put n1 color blue
put n2 color green
stored n1 color
---
  2100.000 ms  n1 suspects n2, score 2.10
  2100.000 ms  n1 suspects n3, score 2.10
  3100.000 ms  n1 takes n2 for down
  3100.000 ms  n1 takes n3 for down
  3200.200 ms  n2 is told by n1 that it does not hear n2
  3200.200 ms  n3 is told by n1 that it does not hear n3
  4115.400 ms  n1 put color blue: not done after 0.000 ms: too few live replicas: 2 needed, 1 alive
  4115.950 ms  n2 put color green: done (quorum, 2 of 3) after 0.550 ms
n1 holds color: red (n1 at 10.000 ms); record 8cb1

heal
tick 200ms
get n1 color
---
  4200.200 ms  n1 hears n2 n3
  4200.400 ms  n2 hears n1, n3 hears n1
  4316.500 ms  n1 get color: green (quorum, 2 of 3) after 0.550 ms
