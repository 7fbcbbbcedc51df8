"""A row of a table: its cells, the processes that train it, and its finished cells."""
