"""What a table of tracks says: its objects, who crossed a line, millimetres, other tools' files, scores."""
