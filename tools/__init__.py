"""Small programs for the people who keep the suite."""
