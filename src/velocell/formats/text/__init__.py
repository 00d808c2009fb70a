"""CSV and other text: reading and writing."""
