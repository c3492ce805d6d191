"""The two HTTP listeners: public ingress and cluster-local routing."""
