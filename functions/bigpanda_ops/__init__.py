"""`bigpanda-mlflow`: what an operator asks and tells this platform, by its API and its events and nothing else."""
