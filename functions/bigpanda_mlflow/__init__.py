"""The functions' side of BigPanDA MLflow: from a CloudEvent to a Knative Service, and to its end."""
