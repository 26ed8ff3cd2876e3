"""What is said when a sink pings nothing: a monitor that stays silent must not go unnoticed.

Some of it is said at once, as it is almost surely a slip: a near miss of a marker, a marker that
meets a disabled sink or reaches none, two sinks with one ping URL. The rest may be meant, and is
said at the exit, on a terminal or in debug: no sink ever saw a marker.
"""
