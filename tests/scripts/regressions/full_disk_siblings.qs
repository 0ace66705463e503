# The same with siblings: two puts that knew nothing of each other, and the first was lost, because
# the second was stamped by one who could not remember the first.
cluster nodes=3 n=3 seed=1 conflict=vector_clock
tick 10ms
disk n1 full
put n1 cart milk
put n1 cart eggs
get n2 cart
expect n2 holds cart milk eggs
---
     0.400 ms  all nodes hear each other
    10.550 ms  n1 put cart milk: done (quorum, 2 of 3) after 0.550 ms
    11.500 ms  n1 put cart eggs: done (quorum, 2 of 3) after 0.950 ms
    11.900 ms  n2 get cart: siblings milk and eggs (quorum, 2 of 3) after 0.400 ms
