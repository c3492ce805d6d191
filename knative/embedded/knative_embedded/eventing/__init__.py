"""Brokers, Triggers and PingSources over a durable queue."""
