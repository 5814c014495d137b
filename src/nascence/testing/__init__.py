"""Contract checks, which parts of this package and of others pass: functions that assert."""
