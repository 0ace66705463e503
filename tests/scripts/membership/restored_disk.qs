# n1 once ran with a clock that was eight seconds ahead, so its life had a high number. Its disk is
# replaced, and the new life has a lower one: the others take all that it says for old news. It is
# told, and has to be started again when its clock has passed that number.
cluster nodes=3 n=3 seed=1
tick 1s

crash n1
clock n1 offset=+8s
restart n1
tick 1s

power_cut n1
clock n1 offset=+0ms
restart n1 empty
tick 5s
expect n2 sees n1 down
status n2

tick 5s
crash n1
restart n1
tick 200ms
expect n2 sees n1 up
