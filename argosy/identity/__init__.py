"""Who asks, and what they may do: types and rules without HTTP, SQL or a clock."""
