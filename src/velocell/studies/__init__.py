"""What a network would do, and what a recording holds: tuning curves, potentials, a summary. Numbers only."""
