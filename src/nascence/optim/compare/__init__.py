"""Comparison of optimizers on tasks seen and unseen: contestants, trials, standings, a probe."""
