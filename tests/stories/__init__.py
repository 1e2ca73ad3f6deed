"""Stories that end at a door."""
