"""What a case is played on, set up and struck together."""
