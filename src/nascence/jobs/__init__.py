"""Whole jobs by name, in a folder from which they resume; importing this loads no PyTorch."""

from nascence.jobs.job import Job, Outcome, Table, make_job
from nascence.jobs.presets import PRESETS, Preset, preset_named

__all__ = ["PRESETS", "Job", "Outcome", "Preset", "Table", "make_job", "preset_named"]
