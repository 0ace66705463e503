# n1 hears its peers, and its messages to n4 are lost: a peer that is heard counts as alive. n4 is
# the first owner of the key, and one write is stamped by one replica, so n1 does not try another.
cluster nodes=5 n=3 seed=1
tick 10ms
owners color

cut n1 -> n4
put n1 color red timeout=200ms
stored n2 color
expect n1 sees n4 up

# Another coordinator succeeds, and a read by n1 does without n4.
put n5 color blue
get n1 color
status n1
