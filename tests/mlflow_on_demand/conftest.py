"""No test asserts time: Hypothesis' own deadline and health checks are off, so a busy machine fails nothing."""

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
