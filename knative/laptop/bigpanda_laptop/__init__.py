"""`make run`: the whole platform on one machine, with real sample data in a real S3 server."""
