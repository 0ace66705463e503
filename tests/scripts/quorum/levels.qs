# The price of a level is whom it waits for. n3 is behind a slow link, 20 ms each way.
cluster nodes=3 n=3 seed=1
tick 10ms

link n1 -> n3 delay="constant(20ms)"
link n3 -> n1 delay="constant(20ms)"
put n1 color red level=one
put n1 color blue level=two
put n1 color green level=all
settle

get n1 color level=one
get n1 color level=quorum
get n1 color level=all
