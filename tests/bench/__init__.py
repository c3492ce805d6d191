"""`make bench`: what the platform costs and how fast it is, each figure beside its alternative in the same run."""
