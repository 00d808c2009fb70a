"""From spikes and events to rows of a Tracks table: objects are followed online, by rules that have names.

`rules` has every threshold and memory of the tracker, with its meaning, unit and limits; the work per event is in
the C++ core (`native/tracker/`), which is given them.
"""
