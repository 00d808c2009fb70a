"""What flows through the program: `Recording`, `Spikes`, `Tracks`, the speed bands, and how they are kept in files.

Nothing here imports another part of Velocell.
"""
