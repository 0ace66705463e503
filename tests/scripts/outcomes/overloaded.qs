# A coordinator bounds what it has open: one more is refused before anything is sent.
cluster nodes=3 n=3 in_flight=2 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 color red &
get n1 color &
put n1 shape round &
put n2 size small &
settle
---
    10.000 ms  n1 put shape round: not done after 0.000 ms: overloaded: this node coordinates 2 requests, its limit; retry later
    10.400 ms  n1 get color: nothing (quorum, 2 of 3) after 0.400 ms
    10.550 ms  n1 put color red: done (quorum, 2 of 3) after 0.550 ms
    10.550 ms  n2 put size small: done (quorum, 2 of 3) after 0.550 ms
    20.000 ms  settled

put n1 shape round
---
    20.550 ms  n1 put shape round: done (quorum, 2 of 3) after 0.550 ms
