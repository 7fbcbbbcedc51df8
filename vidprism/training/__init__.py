"""What both tracks share, and the frozen track."""
