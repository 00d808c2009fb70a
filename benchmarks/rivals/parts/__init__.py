"""What several rivals need: pictures of events, peaks in them, linking, clusters, rows."""
