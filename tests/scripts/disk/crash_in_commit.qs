# A node dies in the middle of a commit: the client does not know, and the record is there as a whole
# or not at all.
cluster nodes=1 n=1 commit="constant(10ms)" seed=10
---
ok

put n1 color red
---
    10.000 ms  n1 put color red: done (quorum, 1 of 1) after 10.000 ms

put n1 color blue &
tick 5ms
crash n1
---
    15.000 ms  n1 put color blue: unknown after 5.000 ms: the connection to the coordinator is down

restart n1
get n1 color
---
    15.000 ms  n1 get color: red (quorum, 1 of 1) after 0.000 ms

put n1 color green &
tick 5ms
crash n1
---
    20.000 ms  n1 put color green: unknown after 5.000 ms: the connection to the coordinator is down

restart n1
get n1 color
---
    20.000 ms  n1 get color: green (quorum, 1 of 1) after 0.000 ms

put n1 color white &
tick 5ms
crash n1
---
    25.000 ms  n1 put color white: unknown after 5.000 ms: the connection to the coordinator is down

restart n1
get n1 color
---
    25.000 ms  n1 get color: white (quorum, 1 of 1) after 0.000 ms

# After the commit there is no doubt.
put n1 color black
power_cut n1
---
    35.000 ms  n1 put color black: done (quorum, 1 of 1) after 10.000 ms

restart n1
get n1 color
---
    35.000 ms  n1 get color: black (quorum, 1 of 1) after 0.000 ms
