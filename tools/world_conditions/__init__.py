"""Whether the mini world tells methods from each other, measured on control methods only."""
