# Vector clocks: two writes that did not see each other are both kept, until a writer who saw both
# replaces them.
cluster nodes=3 n=3 w=one seed=1 conflict=vector_clock
tick 10ms
---
     0.400 ms  all nodes hear each other

put n1 cart milk level=all as=before
---
    10.550 ms  n1 put cart milk: done (all, 3 of 3) after 0.550 ms

partition n1 | n2 n3
put n1 cart "milk and eggs" context=before
put n2 cart "milk and bread" context=before
settle
---
    10.700 ms  n1 put cart "milk and eggs": done (one, 1 of 3) after 0.150 ms
    10.850 ms  n2 put cart "milk and bread": done (one, 1 of 3) after 0.150 ms
  2020.850 ms  settled

heal
get n3 cart level=all as=both
stored n3 cart
expect replicas agree cart
---
  2021.800 ms  n3 get cart: siblings "milk and eggs" and "milk and bread" (all, 3 of 3) after 0.950 ms
n3 holds cart: "milk and eggs" (n1 at 10.550 ms), "milk and bread" (n2 at 10.700 ms); record 83e3

# A writer who saw only the first version replaces nothing that it had not seen.
put n2 cart wine context=before level=all
get n1 cart level=all as=three
---
  2022.350 ms  n2 put cart wine: done (all, 3 of 3) after 0.550 ms
  2022.750 ms  n1 get cart: siblings "milk and eggs" and "milk and bread" and wine (all, 3 of 3) after 0.400 ms

# One who gives back the context of the read replaces all of them.
put n1 cart "milk, eggs, bread, wine" context=three level=all
get n2 cart
expect replicas agree cart
---
  2023.300 ms  n1 put cart "milk, eggs, bread, wine": done (all, 3 of 3) after 0.550 ms
  2023.700 ms  n2 get cart: "milk, eggs, bread, wine" (quorum, 2 of 3) after 0.400 ms
