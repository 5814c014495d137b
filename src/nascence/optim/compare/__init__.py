"""Comparison of optimizers on seen and unseen tasks: contestants, trials, standings, a probe."""
