"""From spikes and events to tracks: the detector (its work per event is C++), and the loop that feeds it."""
