"""Read-only facts about the world, written to the journal as they are seen."""
