"""The search of learning rates on the development pool."""
