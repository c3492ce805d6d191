"""Knative's defaulting and validating webhooks, as pure functions."""
