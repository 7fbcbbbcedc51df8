"""The search of learning rates, penalties and prompt sets on the development pool."""
