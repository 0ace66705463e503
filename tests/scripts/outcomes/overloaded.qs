# A coordinator bounds what it has open: one more is refused before anything is sent.
cluster nodes=3 n=3 in_flight=2 seed=1
tick 10ms

put n1 color red &
get n1 color &
put n1 shape round &
put n2 size small &
settle

put n1 shape round
