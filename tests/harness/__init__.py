"""The fault harness: a real gateway process between a scriptable provider and raw clients, all on loopback.

What belongs here drives or observes the gateway from outside: sockets, processes, counters. Nothing here imports
`trunkline`; what a case expects belongs in `tests/faults`.
"""
