"""From data to a judged model: one room for each task."""
