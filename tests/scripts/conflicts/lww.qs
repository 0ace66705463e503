# Last write wins: two writes that did not see each other, and one of them is lost without a word.
cluster nodes=3 n=3 w=one seed=1 conflict=lww
tick 10ms
---
     0.400 ms  all nodes hear each other

# Each side of the partition takes a write of its own.
partition n1 | n2 n3
put n1 color red
tick 1ms
put n2 color blue
settle
stored n1 color
stored n2 color
stored n3 color
---
    10.150 ms  n1 put color red: done (one, 1 of 3) after 0.150 ms
    11.300 ms  n2 put color blue: done (one, 1 of 3) after 0.150 ms
  2021.300 ms  settled
n1 holds color: red (n1 at 10.000 ms); record 8cb1
n2 holds color: blue (n2 at 11.150 ms); record 0928
n3 holds color: blue (n2 at 11.150 ms); record 0928

# Whoever reads all sees the later one alone.
heal
get n1 color level=all
expect replicas agree color
expect n1 holds color blue
---
  2021.850 ms  n1 get color: blue (all, 3 of 3) after 0.550 ms
