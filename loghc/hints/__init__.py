"""Reports why a sink pings nothing: a monitor that stays silent must not go unnoticed.

Likely mistakes are reported at once: a near miss of a marker, a marker for a disabled sink or for
none, two sinks with one ping URL. What may be intended is reported at the exit, on a terminal or in
debug: no sink ever saw a marker.
"""
