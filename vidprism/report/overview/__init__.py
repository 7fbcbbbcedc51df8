"""The pages about a whole profile as data: what was found, what the numbers rest on, and the page of all profiles."""
