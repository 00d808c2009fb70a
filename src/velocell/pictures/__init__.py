"""Everything that is drawn: figures, videos, notebook cards, the report. The only part that knows colours."""
