"""The code that both tracks share, and the frozen track."""
