"""Revisions as local processes: plan, start, probe, sleep, end."""
