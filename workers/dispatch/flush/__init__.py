"""What all turns want written goes out as one group commit at a time."""
