"""A row of a table: its cells, the processes that train it, what is finished already."""
