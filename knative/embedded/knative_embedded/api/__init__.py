"""The Kubernetes API over HTTPS, as kubectl and the client libraries expect it."""
