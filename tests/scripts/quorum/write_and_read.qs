# Three copies of each key, and two of them take part in every read and write: any two majorities
# share a replica, so a read sees the latest acknowledged write.
cluster nodes=5 n=3 seed=1
tick 10ms
---
     0.400 ms  all nodes hear each other

owners color
put n1 color red
get n5 color
---
color belongs to n4, n2, n3
    10.950 ms  n1 put color red: done (quorum, 2 of 3) after 0.950 ms
    11.350 ms  n5 get color: red (quorum, 2 of 3) after 0.400 ms

# The third owner was not waited for. It has the value, too, a little later.
settle
stored n1 color
stored n2 color
stored n3 color
stored n4 color
stored n5 color
expect replicas agree color
---
    11.350 ms  settled
n1 holds color: nothing
n2 holds color: red (n4 at 10.200 ms); record 95f0
n3 holds color: red (n4 at 10.200 ms); record 95f0
n4 holds color: red (n4 at 10.200 ms); record 95f0
n5 holds color: nothing
